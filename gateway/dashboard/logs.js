/* SPDX-License-Identifier: Apache-2.0 */
import {get} from '/api.js';
import {h, swap, card, pill, text} from '/draw.js';
import {ofTenant} from '/events.js';
import {pager} from '/queues.js';

export const lead = 'The last lines of the processes on the head’s machine: what they report, and what replicas print.';

const SHADE = {error: 'bad', warning: 'warn', info: null, debug: null};
const SEVERITIES = {'all': '', 'warnings and errors': 'warning,error', 'errors': 'error'};
const FILTERS = [['q', 'Text'], ['extractor', 'Extractor'], ['node', 'Node'], ['job_id', 'Job'], ['request_id', 'Request'], ['trace_id', 'Trace']];
const TURN_MS = 1000, SHOWN_MAX = 500;

/* What a line is about, but for what its message says anyway. */
const about = (line) => [['tenant_id', 'tenant'], ['job_id', 'job'], ['extractor', 'extractor'], ['node_id', 'node'], ['request_id', 'request'], ['trace_id', 'trace']]
  .filter(([name]) => line[name] && !line.message.includes(line[name])).map(([name, word]) => `${word} ${line[name]} `);
const row = (line) => h('li', {class: SHADE[line.severity]}, pill(line.severity), ' ', h('strong', null, text(line.event)), ' ',
  h('span', {class: 'dim'}, about(line), `${line.role} ${line.pid} `, h('time', {datetime: line.ts}, line.ts)), h('div', {class: 'mono'}, line.message));

export function show(place, query, refresh) {
  let cursor = '', lines = [], last = '', isWatched = false;
  const before = [], list = h('div'), again = () => { cursor = ''; last = ''; before.length = 0; refresh(); };
  const inputs = FILTERS.map(([name, word]) => h('input', {type: 'search', name, value: query.get(name), 'aria-label': word, placeholder: word, onchange: again}));
  const severity = h('select', {'aria-label': 'Severity', onchange: again}, Object.keys(SEVERITIES).map((v) => h('option', null, v)));
  const follow = h('input', {type: 'checkbox', checked: true, onchange: () => refresh()});
  swap(place, h('div', {class: 'bar'}, inputs, severity, h('label', null, follow, ' Follow')), list);
  const ask = (limit, from) => get(`/v1/cluster/logs?limit=${limit}${ofTenant()}${inputs.filter((i) => i.value).map((i) => `&${i.name}=${encodeURIComponent(i.value)}`).join('')}`
    + `${SEVERITIES[severity.value] && '&severity=' + SEVERITIES[severity.value]}${from && '&cursor=' + encodeURIComponent(from)}`, '');
  const draw = (page) => swap(list, card(null, lines.length === 0 ? h('p', {class: 'dim'}, 'No line is of that kind.') : h('ol', {class: 'time'}, lines.map(row)),
    page && pager(page, cursor, before, (to) => { cursor = to; last = ''; refresh(); }, ['Newer', 'Older'])));
  /* Only the first page is followed, the latest line first. */
  async function watch(page) {
    while (place.isConnected && !document.hidden && follow.checked && !cursor && last) {
      await new Promise((wake) => setTimeout(wake, TURN_MS));
      const from = last;
      if (!place.isConnected || !from || cursor) break;
      try {
        const more = await ask(100, from);
        if (from !== last) continue; /* Another filter was chosen meanwhile. */
        last = more.pagination.follow_cursor || last;
        if (more.results.length > 0) { lines = [...more.results.reverse(), ...lines].slice(0, SHOWN_MAX); draw(page); }
      } catch { break; } /* The live stream says whether the head is there; the next refresh begins anew. */
    }
  }
  return async () => {
    if (isWatched && last) return;
    const page = await ask(100, cursor);
    lines = page.results.reverse();
    last = cursor ? '' : page.pagination.follow_cursor || '';
    draw(page);
    if (isWatched || cursor || !follow.checked) return;
    isWatched = true;
    watch(page).finally(() => { isWatched = false; });
  };
}
