/* SPDX-License-Identifier: Apache-2.0 */
import {who, get, follow} from '/api.js';
import {h, swap, card, text, pill, when} from '/draw.js';
import {pager} from '/queues.js';

export const lead = 'What happened to nodes, groups, replicas, jobs and tenants, the latest first, as it happens.';

const SHADE = {critical: 'bad', warning: 'warn', info: null};
export const ofTenant = () => who.isOperator && who.place ? '&tenant_id=' + encodeURIComponent(who.place) : '';

/* One request waits until something happens, and then the next: what happened is seen at once. */
async function watch(place, path, last, refresh) {
  const leaving = new AbortController(), leave = () => leaving.abort();
  window.addEventListener('hashchange', leave, {once: true});
  for (let id = last; place.isConnected && !document.hidden;) {
    try {
      const found = await follow(path, id, leaving.signal);
      if (found && place.isConnected) { id = found; await refresh(); }
    } catch { break; } /* The live stream says whether the head is there; the next refresh begins anew. */
  }
  window.removeEventListener('hashchange', leave);
}
export function show(place, query, refresh) {
  let cursor = '', isWatched = false;
  const before = [], list = h('div'), find = h('input', {type: 'search', 'aria-label': 'Find on this page', placeholder: 'Find', oninput: () => refresh()});
  const severity = h('select', {'aria-label': 'Severity', onchange: () => { cursor = ''; before.length = 0; refresh(); }}, ['all', 'critical', 'warning', 'info'].map((v) => h('option', null, v)));
  swap(place, h('div', {class: 'bar'}, find, severity), list);
  return async () => {
    const page = await get(`/v1/cluster/events?limit=50${ofTenant()}${severity.value === 'all' ? '' : '&severity=' + severity.value}${cursor && '&cursor=' + encodeURIComponent(cursor)}`, '');
    const wanted = find.value.toLowerCase(), rows = page.results.filter((e) => JSON.stringify(e).toLowerCase().includes(wanted)).reverse();
    swap(list, card(null, rows.length === 0 ? h('p', {class: 'dim'}, 'Nothing of that kind has happened.')
      : h('ol', {class: 'time'}, rows.map((e) => h('li', {class: SHADE[e.severity]}, pill(e.kind), ' ', h('strong', null, text(e.subject)), ' ',
        h('span', {class: 'dim'}, [e.tenant_id && e.tenant_id !== e.subject && 'tenant ' + e.tenant_id, e.node_id && e.node_id !== e.subject && 'node ' + e.node_id, e.group && 'group ' + e.group].filter(Boolean).map((w) => w + ', '), when(e.ts)),
        e.message && h('div', null, e.message)))), pager(page, cursor, before, (to) => { cursor = to; refresh(); }, ['Newer', 'Older'])));
    if (!isWatched && !cursor) {
      isWatched = true;
      const last = page.results.length > 0 ? page.results[page.results.length - 1].event_id : '';
      watch(place, '/v1/cluster/events?follow=true' + ofTenant(), last, refresh).finally(() => { isWatched = false; });
    }
  };
}
