/* SPDX-License-Identifier: Apache-2.0 */
/* Is it well, what changed, what waits and why. */
import {who, get} from '/api.js';
import {h, swap, tiles, card, table, chart, count, bytes, span, text, pill, when, isNumber, kind, share} from '/draw.js';
import {ofTenant} from '/events.js';
import {crashes} from '/extractors.js';

export const lead = 'Whether all is well, what changed lately, and what waits for what.';

const rate = (v) => v.toFixed(v < 10 ? 2 : 0) + '/s', ms = (v) => v.toFixed(v < 10 ? 2 : 0) + ' ms';
const charts = [
  ['Calls', 'requests_per_s', rate], ['Failed calls', 'errors_per_s', rate], ['99 of 100 calls took', 'latency_p99_ms', ms],
  ['Tasks done', 'tasks_per_s', rate], ['Tasks that failed', 'tasks_failed_per_s', rate], ['Tasks that are ready', 'queue_ready', count],
  ['Oldest ready task', 'queue_oldest_s', span], ['Tasks under way', 'queue_in_flight', count], ['Nodes', 'nodes', count],
  ['Replicas', 'replicas', count], ['Memory of the head', 'memory_bytes', bytes], ['Processor time', 'cores', (v) => v.toFixed(2) + ' cores'],
];

function troubles(summary, crashed, queues) {
  const found = [];
  for (const g of (summary && summary.groups) || []) if (g.condition !== 'ok' && g.condition !== 'at_zero' && g.condition !== 'by_hand') found.push([g.condition === 'starting' ? 'warn' : 'bad', `Group ${g.group}: ${g.condition.replaceAll('_', ' ')}. ${g.reason || ''}`, '#/nodes']);
  const nodes = (summary && summary.nodes) || {};
  for (const state of ['starting', 'cordoned', 'draining']) if (nodes[state] > 0) found.push(['warn', `${count(nodes[state])} of ${count(nodes.total)} nodes ${nodes[state] === 1 ? 'is' : 'are'} ${state}.`, '#/nodes']);
  for (const p of crashed) found.push(['bad', `${p.extractor} on node ${p.node}: ${p.reason}`, '#/extractors']);
  for (const q of queues) {
    if (q.mode !== 'open') found.push(['warn', `Queue ${q.queue} is ${q.mode}, with ${count(q.depth)} waiting.`, '#/queues']);
    else if (q.oldest_age_ms > 300000) found.push(['warn', `Queue ${q.queue}: the oldest task has waited ${span(q.oldest_age_ms / 1000)}.`, '#/queues']);
  }
  if (summary && summary.node && summary.node.state !== 'ready') found.push(['warn', `The head is ${summary.node.state}.`]);
  return found.sort((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);
}
function verdict(found) {
  const worst = found.length === 0 ? 'good' : found[0][0];
  const words = {good: 'All is well', warn: 'Worth a look', bad: 'Something is wrong'}[worst];
  return h('section', {class: 'verdict ' + worst, 'aria-label': 'Verdict'}, h('strong', null, words),
    found.length === 0 ? h('span', {class: 'dim'}, ' – nodes, extractors, groups and queues are as they should be.')
      : h('ul', null, found.slice(0, 8).map(([, words, to]) => h('li', null, to ? h('a', {href: to}, words) : words)), found.length > 8 && h('li', null, `and ${found.length - 8} more`)));
}
const HELD = {mode: '', rate: 'its rate', running_max: 'as many run as may'};
const mayWait = (q) => q.mode !== 'open' ? 'it is ' + q.mode : q.held && q.held.length > 0 ? q.held.map((r) => HELD[r] || r.replaceAll('_', ' ')).join(', ') : q.in_flight > 0 ? 'for those before' : 'for a worker';

export function show(place) {
  const top = h('div'), middle = h('div', {class: 'two'}), graphs = h('div', {class: 'charts'});
  let spanOf = '1h', drawn = 0;
  const select = h('select', {'aria-label': 'Time of the charts', onchange: () => { spanOf = select.value; drawn = 0; draw(); }}, ['1h', '12h', '72h'].map((v) => h('option', null, v)));
  swap(place, top, middle, who.isOperator && card(null, h('div', {class: 'bar'}, h('h2', null, 'History'), h('label', {class: 'dim'}, 'of the last ', select)), graphs));
  async function draw() {
    if (!who.isOperator || Date.now() - drawn < 10000) return;
    drawn = Date.now();
    const history = await get('/v1/cluster/history?span=' + spanOf, '');
    graphs.replaceChildren(...charts.map(([title, key, format]) => chart(title, history.series[key] || [], format)));
  }
  return async (summary) => {
    const [queues, cluster, events] = await Promise.all([get('/v1/cluster/queues?limit=100'),
      who.isOperator ? get('/v1/cluster', '') : null, get('/v1/cluster/events?limit=6' + ofTenant(), '')]);
    const rows = queues.results, waiting = rows.reduce((n, q) => n + q.depth, 0), running = rows.reduce((n, q) => n + q.in_flight, 0);
    const oldest = Math.max(0, ...rows.map((q) => q.oldest_age_ms));
    swap(top, verdict(troubles(who.isOperator ? summary : null, await crashes(cluster), rows)), tiles([
      cluster && ['Nodes', count(cluster.nodes.alive + cluster.nodes.starting + cluster.nodes.draining), `${count(cluster.nodes.alive)} alive`],
      cluster && ['Replicas', count(cluster.actors.alive + cluster.actors.pending), 'of extractors'],
      ['Waiting', count(waiting), `in ${rows.length} queues`], ['Under way', count(running), 'tasks'],
      ['Oldest', waiting ? span(oldest / 1000) : '–', 'has waited so long'],
      who.isOperator && summary && ['Calls', count(summary.requests_in_flight), `under way, ${count(summary.requests_waiting)} wait`],
      who.isOperator && summary && ['Documents', count(summary.objects && summary.objects.documents), `of ${count(summary.objects && summary.objects.count)} objects`],
      cluster && ['Replicas’ memory', bytes(cluster.resources.memory.used), 'resident'],
    ].filter(Boolean)));
    const longest = rows.filter((q) => q.depth > 0).sort((a, b) => b.depth - a.depth).slice(0, 6);
    swap(middle, card('What waits, and why', table('Queues with tasks that wait', [
      ['Queue', (q) => h('a', {href: '#/queues'}, q.queue)], ['Waiting', (q) => [count(q.depth), ' ', share(q.depth, waiting, 'of all that waits')], {n: 1}],
      ['Oldest', (q) => span(q.oldest_age_ms / 1000), {n: 1}], ['Why', mayWait]], longest, 'Nothing waits.')),
    card('What changed', table('The latest events', [
      ['When', (e) => when(e.ts)], ['What', (e) => pill(e.kind)],
      ['Of', (e) => [text(e.subject), e.message && h('div', {class: 'dim'}, e.message)]]], events.results.slice().reverse(), 'Nothing has changed.')));
    await draw();
  };
}
