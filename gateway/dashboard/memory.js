/* SPDX-License-Identifier: Apache-2.0 */
import {who, get} from '/api.js';
import {h, swap, card, table, count, bytes, pill, text} from '/draw.js';
import {pager} from '/queues.js';

export const lead = 'The models there are, and what each node’s memory for shared objects holds.';

function map(o) {
  const whole = Math.max(o.memory_max_bytes + o.spilled_bytes, 1), part = (className, v) => { const e = h('i', {class: className}); e.style.width = 100 * v / whole + '%'; return e; };
  return h('div', {class: 'map', role: 'img', 'aria-label': `${bytes(o.memory_bytes)} of ${bytes(o.memory_max_bytes)} in use, ${bytes(o.spilled_bytes)} on the disk`}, part('used', o.memory_bytes), part('spill', o.spilled_bytes));
}
function node(n) {
  const o = n.objects || {};
  return h('section', {class: 'card'}, h('h2', null, 'Node ' + n.name), map(o),
    h('p', {class: 'dim'}, `${bytes(o.memory_bytes)} of ${bytes(o.memory_max_bytes)} in memory, ${bytes(o.spilled_bytes)} on the disk.`),
    table('Memory of node ' + n.name, [['', (r) => r[0]], ['Number', (r) => r[1], {n: 1}]], [['Objects', count(o.objects)], ['Their bytes', bytes(o.object_bytes)], ['Tenants', count(o.tenants)],
      ['Held by replicas', count(o.holds)], ['Pinned', count(o.pins)], ['Moved to the disk', count(o.spills)], ['Let go for room', count(o.evictions)], ['Lost', count(o.lost)], ['Models', count(o.models)]]));
}
export function show(place, query, refresh) {
  let cursor = '';
  const before = [];
  return async () => {
    const [models, nodes] = await Promise.all([get('/v1/models'), who.isOperator ? get('/v1/cluster/nodes?brief=true&limit=50' + (cursor && '&cursor=' + encodeURIComponent(cursor)), '') : null]);
    const usable = models.data.filter((m) => m.available !== false), others = models.data.filter((m) => m.available === false);
    swap(place, nodes && h('div', {class: 'cards'}, nodes.results.map(node)), nodes && pager(nodes, cursor, before, (to) => { cursor = to; refresh(); }),
      card('Models that can be used', table('Models', [['Model', (m) => text(m.id)], ['Belongs to', (m) => text(m.owned_by)], ['State', (m) => pill(m.state || 'ready')]], usable, 'None.')),
      others.length > 0 && card('Models that cannot', table('Models that cannot be used', [['Model', (m) => text(m.id)], ['Why', (m) => text(m.unavailable_reason)]], others)));
  };
}
