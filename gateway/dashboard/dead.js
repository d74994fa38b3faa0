/* SPDX-License-Identifier: Apache-2.0 */
import {who, get, call, mayWrite} from '/api.js';
import {h, swap, card, table, count, pill, when, button, ask, say, text} from '/draw.js';
import {pager} from '/queues.js';

export const lead = 'Jobs that failed for good: what was wrong with each, and a way to have them begin again.';

const path = (queue) => `/v1/queues/${encodeURIComponent(queue)}/jobs`;

function redriveAll(queue, number, refresh) {
  ask({title: `Redrive ${queue}`, action: 'Redrive', isRisky: true, body: `All ${count(number)} dead jobs begin again, as if they had just been put.`, run: async () => {
    let cursor, done = 0;
    do {
      const page = await call('POST', path(queue) + '/retry', {where: {state: 'dead,quarantined'}, limit: 1000, ...(cursor ? {cursor} : {})});
      done += page.changed;
      cursor = page.next_cursor;
    } while (cursor);
    say(`${count(done)} jobs of ${queue} begin again.`);
    refresh();
  }});
}
function redrive(job, refresh) {
  ask({title: 'Redrive this job', action: 'Redrive', body: `${job.job_id} of ${job.queue} begins again. It failed with: ${text(job.error)}`,
    run: async () => { await call('POST', `${path(job.queue)}/${encodeURIComponent(job.job_id)}/retry`, {}); say('The job begins again.'); refresh(); }});
}
function remove(job, refresh) {
  ask({title: 'Remove this job', action: 'Remove', isRisky: true, body: `${job.job_id} of ${job.queue} is removed with its payload. Nothing brings it back.`,
    run: async () => { await call('DELETE', `${path(job.queue)}/${encodeURIComponent(job.job_id)}`); say('The job is removed.'); refresh(); }});
}
export function show(place, query, refresh) {
  let queue = '', cursor = '';
  const before = [];
  return async () => {
    if (who.isOperator && !who.place) {
      swap(place, card(null, h('p', null, 'Dead letters are a tenant’s. Choose the tenant at the top.')));
      return;
    }
    const queues = (await get('/v1/queues?limit=100')).results, dead = (q) => q.counts.dead + q.counts.quarantined;
    const some = queues.filter((q) => dead(q) > 0);
    if (!queues.some((q) => q.queue === queue)) queue = some.length > 0 ? some[0].queue : '';
    const page = queue ? await get(`${path(queue)}?limit=25&state=dead,quarantined${cursor && '&cursor=' + encodeURIComponent(cursor)}`) : null;
    swap(place, card('Queues', table('Queues with dead letters', [['Queue', (q) => q.queue], ['Dead', (q) => count(q.counts.dead), {n: 1}], ['Quarantined', (q) => count(q.counts.quarantined), {n: 1}],
      ['', (q) => [button('Show', () => { queue = q.queue; cursor = ''; refresh(); }, 'show-' + q.queue), mayWrite() && button('Redrive all', () => redriveAll(q.queue, dead(q), refresh), 'all-' + q.queue)], {act: 1}]], some, 'No queue has any.')),
    page && card(`Dead letters of ${queue}`, table('Dead letters', [['Job', (j) => h('span', {class: 'mono id'}, j.job_id)], ['State', (j) => pill(j.state)], ['Error', (j) => h('span', {class: 'mono'}, text(j.error))], ['Attempts', (j) => count(j.attempts), {n: 1}],
      ['Ended', (j) => when(j.ended_at), {n: 1}], ['', (j) => mayWrite() && [button('Redrive', () => redrive(j, refresh), 'r-' + j.job_id), button('Remove', () => remove(j, refresh), 'd-' + j.job_id)], {act: 1}]], page.results, 'None on this page.'),
    pager(page, cursor, before, (to) => { cursor = to; refresh(); })));
  };
}
