/* SPDX-License-Identifier: Apache-2.0 */
import {get} from '/api.js';
import {h, swap, card, table, when, text, facts, button, phaseLanes, phaseBar, took} from '/draw.js';
import {ofTenant} from '/events.js';
import {pager} from '/queues.js';

export const lead = 'The slowest requests of each of the last 60 minutes, and where the time of each went.';

const ORDERS = {'slowest first': '-duration', 'latest first': '-started_at'};
const KEY = [['wait', 'waits for its turn'], ['ask', 'is with others, or on its way'], ['', 'is worked on'], ['disk', 'is written to the disk']];
const ended = (r) => r.status >= 500 ? h('span', {class: 'pill bad'}, r.status) : r.status >= 400 ? h('span', {class: 'pill warn'}, r.status) : h('span', {class: 'pill'}, r.status);

export function show(place, query, refresh) {
  let cursor = '', open = null, rows = [];
  const one = h('div'), list = h('div'), before = [], again = () => { cursor = ''; before.length = 0; refresh(); };
  const order = h('select', {'aria-label': 'Order', onchange: again}, Object.keys(ORDERS).map((v) => h('option', null, v)));
  const wanted = h('input', {type: 'search', 'aria-label': 'Operation', placeholder: 'Operation', value: query.get('q'), onchange: again});
  swap(place, one, h('div', {class: 'bar'}, wanted, order, h('span', {class: 'key dim'}, KEY.map(([name, words]) => [h('i', {class: name || null}), words]))), list);
  const draw = (r) => swap(one, r && card(null, h('h2', {tabindex: -1, id: 'request-title'}, 'Request ', h('span', {class: 'mono'}, r.request_id)), phaseLanes(r), h('br'),
    facts([['Operation', r.operation], ['Status', ended(r)], ['Took', took(r.duration_us)], ['Began', when(r.started_at)], ['Tenant', text(r.tenant_id)], ['Trace', h('span', {class: 'mono'}, r.trace_id)],
      ['Its lines', h('a', {href: '#/logs?request_id=' + encodeURIComponent(r.request_id)}, 'in the logs')]]),
    h('div', {class: 'bar'}, button('Close', () => { open = null; draw(null); }, 'close'))));
  const look = (r) => { open = r; draw(r); const title = document.getElementById('request-title'); title.focus(); title.scrollIntoView({block: 'nearest'}); };
  return async () => {
    const page = await get(`/v1/cluster/slow_requests?limit=50${ofTenant()}&sort=${ORDERS[order.value]}${wanted.value && '&q=' + encodeURIComponent(wanted.value)}${cursor && '&cursor=' + encodeURIComponent(cursor)}`, '');
    rows = page.results;
    if (open) { open = rows.find((r) => r.request_id === open.request_id) || open; draw(open); }
    swap(list, card(null, table('Requests', [['Operation', (r) => h('button', {type: 'button', class: 'small mono', 'data-key': r.request_id, onclick: () => look(r)}, r.operation)], ['Took', (r) => took(r.duration_us), {n: 1}],
      ['Where', (r) => phaseBar(r)], ['Status', ended], ['Tenant', (r) => text(r.tenant_id)], ['Began', (r) => when(r.started_at), {n: 1}]], rows, 'No request of that kind was there.'),
    pager(page, cursor, before, (to) => { cursor = to; refresh(); })));
  };
}
