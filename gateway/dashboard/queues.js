/* SPDX-License-Identifier: Apache-2.0 */
import {get, call, mayAdmin} from '/api.js';
import {h, swap, card, table, count, pill, span, button, ask, say, share} from '/draw.js';

export const lead = 'Each tenant’s queues: how much waits, how long the oldest has, what share it gets, and what holds it.';

function act(queue, verb, body, refresh) {
  const name = verb[0].toUpperCase() + verb.slice(1);
  ask({title: `${name} ${queue.queue}`, action: name, isRisky: verb === 'pause', body,
    run: async () => { await call('POST', `/v1/cluster/queues/${encodeURIComponent(queue.queue)}/${verb}`); say(`${queue.queue}: ${verb}d.`); refresh(); }});
}

export function show(place, query, refresh) {
  let cursor = '', before = [];
  return async () => {
    const page = await get('/v1/cluster/queues?limit=50' + (cursor && '&cursor=' + encodeURIComponent(cursor)));
    const rows = page.results, weights = rows.filter((q) => q.depth + q.in_flight > 0).reduce((n, q) => n + q.weight, 0);
    const turn = (to) => { cursor = to; refresh(); };
    swap(place, card(null, table('Queues', [
      ['Queue', (q) => q.queue], ['State', (q) => [pill(q.mode), (q.held || []).map((r) => [' ', pill(r)])]], ['Waiting', (q) => count(q.depth), {n: 1}], ['Delayed', (q) => count(q.delayed), {n: 1}],
      ['Under way', (q) => count(q.in_flight) + (q.running_max ? ` of ${count(q.running_max)}` : ''), {n: 1}], ['Oldest', (q) => q.depth ? span(q.oldest_age_ms / 1000) : '–', {n: 1}],
      ['Share', (q) => q.depth + q.in_flight > 0 && weights > 0 ? [Math.round(100 * q.weight / weights) + ' % ', share(q.weight, weights, `weight ${q.weight} of ${weights}`)] : '–', {n: 1}],
      ['Rate', (q) => q.rate ? `${count(q.rate)} a ${span(q.rate_period_ms / 1000)}` : 'any', {n: 1}],
      ['', (q) => mayAdmin() && (q.mode === 'open' ? button('Pause', () => act(q, 'pause', `No more of its ${count(q.depth)} waiting tasks are handed out, across restarts, until it is resumed. New ones are still taken.`, refresh), 'p-' + q.queue)
        : button('Resume', () => act(q, 'resume', 'Its tasks are handed out and taken again.', refresh), 'p-' + q.queue)), {act: 1}],
    ], rows, 'No queue has tasks or settings.'), pager(page, cursor, before, turn)));
  };
}
export function pager(page, cursor, before, turn, [back, on] = ['Back', 'Next']) {
  const next = page.pagination && page.pagination.next_cursor;
  if (!next && !cursor) return null;
  return h('div', {class: 'bar'}, h('button', {type: 'button', disabled: before.length === 0, 'data-key': 'back', onclick: () => turn(before.pop())}, back),
    h('button', {type: 'button', disabled: !next, 'data-key': 'next', onclick: () => { before.push(cursor); turn(next); }}, on));
}
