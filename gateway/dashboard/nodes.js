/* SPDX-License-Identifier: Apache-2.0 */
import {get, call} from '/api.js';
import {h, swap, card, table, count, bytes, text, pill, when, button, ask, say} from '/draw.js';
import {pager} from '/queues.js';

export const lead = 'The machines that work, and the groups that start and stop them by demand.';

function scale(group, refresh) {
  ask({title: `Scale group ${group.group}`, action: 'Scale', fields: [['replicas', 'Nodes', {type: 'number', min: 0, max: group.max ?? 10000, required: true, value: group.wanted ?? group.workers}]],
    body: `It has ${group.workers} nodes now. The number stays until the next apply of overrides or restart; the group then goes by demand again.`,
    run: async (values) => { await call('POST', `/v1/cluster/groups/${encodeURIComponent(group.group)}/scale`, {replicas: Number(values.replicas)}, ''); say(`Group ${group.group} is set to ${values.replicas}.`); refresh(); }});
}
function order(node, verb, body, isRisky, refresh) {
  ask({title: `${verb[0].toUpperCase() + verb.slice(1)} node ${node.name}`, action: verb[0].toUpperCase() + verb.slice(1), isRisky, body,
    run: async () => { await call('POST', `/v1/cluster/nodes/${encodeURIComponent(node.name)}/${verb}`, undefined, ''); say(`Node ${node.name} has been told to ${verb}.`); refresh(); }});
}

export function show(place, query, refresh) {
  let cursor = '';
  const before = [];
  return async () => {
    const [cluster, nodes] = await Promise.all([get('/v1/cluster', ''), get('/v1/cluster/nodes?brief=true&limit=50' + (cursor && '&cursor=' + encodeURIComponent(cursor)), '')]);
    swap(place, card('Groups', table('Groups of workers', [
      ['Group', (g) => g.group], ['State', (g) => [pill(g.condition), g.reason && h('div', {class: 'dim'}, g.reason)]], ['Nodes', (g) => count(g.workers), {n: 1}],
      ['Range', (g) => `${g.min}–${g.max ?? 'any'}`, {n: 1}], ['Wanted', (g) => g.wanted === undefined ? '–' : count(g.wanted) + (g.is_manual ? ' (by hand)' : ''), {n: 1}],
      ['Starting', (g) => count(g.starting), {n: 1}],
      ['', (g) => g.provider ? button('Scale', () => scale(g, refresh), 'scale-' + g.group) : h('span', {class: 'dim'}, 'joins by itself'), {act: 1}],
    ], cluster.groups)),
    card('Nodes', table('Nodes', [
      ['Node', (n) => n.name], ['State', (n) => pill(n.state)], ['Group', (n) => n.group], ['Host', (n) => n.host || 'this machine'],
      ['Under way', (n) => `${count(n.in_flight)} of ${count(n.room)}`, {n: 1}], ['Replicas', (n) => count(n.replicas_count), {n: 1}],
      ['Hardware', (n) => [n.cpus ? n.cpus + ' cores' : null, n.gpus ? n.gpus + ' GPUs' : null, n.memory_bytes ? bytes(n.memory_bytes) : null].filter(Boolean).join(', ') || '–'],
      ['Labels', (n) => Object.entries(n.labels || {}).map(([k, v]) => h('div', {class: 'mono'}, `${k}=${text(v)}`))], ['Since', (n) => when(n.started_at), {n: 1}],
      ['', (n) => [n.state === 'cordoned'
        ? button('Uncordon', () => order(n, 'uncordon', 'It is given tasks again.', false, refresh), 'un-' + n.node)
        : button('Cordon', () => order(n, 'cordon', 'It gets no more tasks; what it has goes on.', false, refresh), 'cordon-' + n.node),
      !n.is_local && button('Drain', () => order(n, 'drain', `It finishes its ${n.in_flight} tasks, leaves and ends.`, true, refresh), 'drain-' + n.node)], {act: 1}],
    ], nodes.results), pager(nodes, cursor, before, (to) => { cursor = to; refresh(); })));
  };
}
