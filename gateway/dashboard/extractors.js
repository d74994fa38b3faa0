/* SPDX-License-Identifier: Apache-2.0 */
import {who, get, call} from '/api.js';
import {h, swap, card, table, count, bytes, text, pill, when, steps, facts, isNumber, button, ask, say} from '/draw.js';
import {pager} from '/queues.js';

export const lead = 'What works on tasks: each extractor with its replicas, and every decision of how many there are to be, with its reason.';

const ms = (v) => isNumber(v) ? v.toFixed(v < 10 ? 1 : 0) + ' ms' : '–', NODE_SHOWN = 6, SHOWN = 12;
const isIdle = (e) => e.state === 'cold' || e.state === 'disabled';

/* Why pools crash, by node: asked for while some do, and then of the first nodes alone. */
export async function crashes(cluster) {
  if (!cluster || cluster.actors.restarting === 0) return [];
  const nodes = await get('/v1/cluster/nodes?limit=20', '');
  return nodes.results.flatMap((n) => (n.scaling || []).filter((p) => p.life && p.life.state === 'crashed').map((p) => ({extractor: p.extractor, node: n.name, reason: p.life.reason})));
}
/* Decisions change replicas: what has as many as it had is not asked for again for a while. */
const KEPT_MS = 30000, kept = new Map();
async function decisionsOf(e) {
  if (!e.counts) return [];
  const key = [who.place, e.tenant_id, e.extractor].join(' '), like = [e.desired_replicas, e.replicas_total].join(' '), had = kept.get(key);
  if (had && had.like === like && Date.now() - had.at < KEPT_MS) return had.rows;
  const rows = (await get(`/v1/cluster/extractors/${encodeURIComponent(e.extractor)}/decisions?limit=40`)).results;
  if (kept.size > 100) kept.clear();
  kept.set(key, {like, rows, at: Date.now()});
  return rows;
}
/* Each node decides for itself: a line of each. */
function timeline(name, decisions) {
  const byNode = new Map(), now = Date.now();
  for (const d of decisions.slice().reverse()) {
    if (!byNode.has(d.node_id)) byNode.set(d.node_id, []);
    byNode.get(d.node_id).push([Date.parse(d.ts), d.to_replicas]);
  }
  return [...byNode].slice(0, NODE_SHOWN).map(([node, points]) => steps(`Replicas wanted on node ${node}`, points, Math.max(now, points[points.length - 1][0]), count)).concat(
    h('details', {'data-name': name}, h('summary', null, decisions.length === 1 ? 'The last decision' : `The last ${decisions.length} decisions`),
      h('ol', {class: 'time', tabindex: 0, 'aria-label': 'Decisions for ' + name}, decisions.map((d) =>
        h('li', {class: d.to_replicas > d.from_replicas ? 'up' : d.to_replicas < d.from_replicas ? 'down' : null}, h('strong', null, `${d.from_replicas} → ${d.to_replicas}`), ' ', pill(d.reason),
          h('span', {class: 'dim'}, ` on node ${d.node_id}, `, when(d.ts)), h('div', null, d.message))))));
}
function extractor(e, decisions, crashes) {
  const c = e.counts || {}, latest = decisions[0];
  return h('section', {class: 'card'}, h('h2', null, e.extractor, ' ', pill(e.state), e.tenant_id && [' ', pill(e.tenant_id)]),
    crashes.map((p) => h('p', {class: 'error'}, `Node ${p.node}: ${p.reason}`)),
    e.counts && facts([['Replicas', `${count(c.ready)} ready of ${count(e.desired_replicas)} wanted` + (c.starting + c.warming ? `, ${c.starting + c.warming} starting` : '') + (c.draining ? `, ${c.draining} draining` : '')],
      ['Work', `${count(e.ongoing_requests)} under way, ${count(e.queued_requests)} wait`], ['Took', `${ms(e.p50_ms)} (half), ${ms(e.p99_ms)} (99 of 100)`],
      isNumber(e.error_rate) && e.error_rate > 0 && ['Failed', (100 * e.error_rate).toFixed(1) + ' %'], isNumber(e.cold_start_ms) && ['A start takes', ms(e.cold_start_ms)], ['Memory', bytes(e.memory)],
      latest && ['Why so many', latest.message]].filter(Boolean)), latest && timeline(e.extractor, decisions));
}
function restart(r, refresh) {
  ask({title: `Restart replica ${r.replica_id}`, action: 'Restart', isRisky: true, body: `It finishes the ${count(r.ongoing)} it has under way and ends. Another of ${r.extractor} is started where one is wanted.`,
    run: async () => { await call('POST', `/v1/cluster/replicas/${encodeURIComponent(r.replica_id)}/restart`, undefined, ''); say(`Replica ${r.replica_id} has been told to end.`); refresh(); }});
}
export function show(place, query, refresh) {
  let cursor = '';
  const before = [], turn = (to) => { cursor = to; refresh(); };
  return async () => {
    const [served, replicas, cluster] = await Promise.all([get('/v1/cluster/extractors?limit=100'), get('/v1/cluster/replicas?limit=50' + (cursor && '&cursor=' + encodeURIComponent(cursor))),
      who.isOperator ? get('/v1/cluster', '') : null]);
    const at_work = served.results.filter((e) => !isIdle(e)), idle = served.results.filter(isIdle);
    const decisions = await Promise.all(at_work.slice(0, SHOWN).map(decisionsOf));
    const crashed = await crashes(cluster);
    const open = new Set([...place.querySelectorAll('details[open]')].map((d) => d.dataset.name));
    swap(place, at_work.length === 0 ? h('p', {class: 'dim'}, 'None is at work: the first task or call starts one.')
      : h('div', {class: 'cards'}, at_work.slice(0, SHOWN).map((e, i) => extractor(e, decisions[i], crashed.filter((p) => p.extractor === e.extractor)))),
    card('Replicas', table('Replicas', [['Extractor', (r) => text(r.extractor)], ['Tenant', (r) => r.tenant_id || 'shared'], ['Node', (r) => text(r.node_id), {n: 1}], ['State', (r) => pill(r.state)],
      ['Under way', (r) => count(r.ongoing), {n: 1}], ['Done', (r) => count(r.done), {n: 1}], ['Restarts', (r) => count(r.restarts), {n: 1}], ['Memory', (r) => bytes(r.memory), {n: 1}], ['Process', (r) => text(r.pid), {n: 1}], ['Since', (r) => when(r.started_at), {n: 1}],
      who.isOperator && ['', (r) => r.state === 'ready' && button('Restart', () => restart(r, refresh), 'restart-' + r.replica_id), {act: 1}]].filter(Boolean),
    replicas.results, 'None runs now.'), pager(replicas, cursor, before, turn)),
    idle.length > 0 && card('At rest', h('p', {class: 'dim'}, 'Scaled to zero, or not asked for yet: ', idle.map((e) => e.extractor).join(', ') + '.')));
    place.querySelectorAll('details').forEach((d) => { d.open = open.has(d.dataset.name); });
  };
}
