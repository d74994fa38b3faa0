/* SPDX-License-Identifier: Apache-2.0 */
import {who, get, call, mayWrite} from '/api.js';
import {h, swap, card, table, count, pill, when, button, ask, say, text, facts, waterfall, phaseLanes, phaseBar, took} from '/draw.js';
import {pager} from '/queues.js';

export const lead = 'What is being worked on: how far each job is, and where the time of one went.';

const STATES = ['pending', 'running', 'queued', 'blocked', 'scheduled', 'failed', 'dead', 'quarantined', 'succeeded', 'canceled'];
const isOver = (state) => /^(completed|failed|cancel|succeeded|dead|quarantined|expired)/i.test(state);
function bar(p, name) {
  if (p.total <= 1) return p.done ? 'done' : p.failed ? 'failed' : '–';
  return [h('progress', {max: Math.max(1, p.total), value: p.done + p.failed, 'aria-label': name}),
    h('div', {class: 'dim'}, `${count(p.done)} done${p.failed ? `, ${count(p.failed)} failed` : ''} of ${count(p.total)}`)];
}
function phases(j) {
  const at = (v) => Date.parse(v), now = Date.now(), isBad = /fail|dead|quarantined/i.test(j.state);
  const began = j.started_at ? at(j.started_at) : j.finished_at ? at(j.finished_at) : now;
  const rows = [[j.started_at || !j.finished_at ? 'Waits for its turn' : 'Waits and is worked on', at(j.created_at), began, j.started_at || !j.finished_at ? 'wait' : isBad ? 'bad' : '']];
  if (j.started_at) rows.push(['Is worked on', began, j.finished_at ? at(j.finished_at) : now, isBad ? 'bad' : '']);
  return waterfall(rows);
}
const PHASE = {delay: 'Is not due yet', wait: 'Waits for its turn', blocked: 'Is blocked', lease: 'Is leased', compute: 'Is computed'};
/* Each run of it is lanes of its own; those that go on end now. */
function lanes(trace) {
  return waterfall(trace.spans.slice(0, 40).map((span) => [PHASE[span.phase] || span.phase, Date.parse(span.started_at), span.finished_at ? Date.parse(span.finished_at) : Date.now(),
    /fail|dead|crash|lost|expire|quarant/i.test(span.ended_by || '') ? 'bad' : span.phase === 'lease' || span.phase === 'compute' ? '' : 'wait']));
}
/* Of a batch's runs those that took longest, the worst of them phase by phase. */
function leases(trace) {
  const rows = ((trace && trace.leases) || []).slice().sort((a, b) => b.duration_us - a.duration_us);
  if (rows.length === 0) return null;
  return [h('h3', null, 'The run that took longest'), phaseLanes(rows[0]), rows.length > 1 && h('details', {'data-name': 'runs'}, h('summary', null, `The ${rows.length} slowest of ${count(trace.leases_seen)} runs that were looked at`),
    table('Runs', [['Task', (l) => h('span', {class: 'mono'}, text(l.task))], ['Try', (l) => count(l.attempt), {n: 1}], ['Ended', (l) => pill(l.outcome)], ['Node', (l) => text(l.node_id)], ['Extractor', (l) => text(l.extractor)],
      ['Took', (l) => took(l.duration_us), {n: 1}], ['Where', (l) => phaseBar(l)]], rows)), h('br')];
}
/* What more there is of one: a batch's task, an own queue's job, why it waits. What is missing is left out. */
async function more(j) {
  const tenant = j.tenant_id || who.place, found = [], quiet = (path, of) => get(path, of).catch(() => null);
  const [trace, task, own, placed] = await Promise.all([quiet(`/v1/cluster/jobs/${encodeURIComponent(j.job_id)}/trace${who.isOperator && tenant ? '?tenant_id=' + encodeURIComponent(tenant) : ''}`, ''), j.task_id ? quiet('/v1/tasks/' + encodeURIComponent(j.task_id), tenant) : null,
    j.type === 'queue_job' ? quiet('/v1/queues/-/jobs/' + encodeURIComponent(j.job_id), tenant) : null,
    who.isOperator && j.type !== 'queue_job' && !isOver(j.state) ? quiet('/v1/cluster/placement/' + encodeURIComponent(j.job_id), '') : null]);
  for (const [name, value] of Object.entries((task && task.additional_data) || {})) if (!['progress', 'sample_object_ids', 'batch_id', 'namespace_id', 'job_id'].includes(name)) found.push([name.replaceAll('_', ' '), h('span', {class: 'mono'}, text(value))]);
  if (own) for (const name of ['attempts', 'crashes', 'snoozes', 'lease', 'payload', 'error', 'log']) if (own[name] !== undefined && own[name] !== null) found.push([name, h('span', {class: 'mono'}, text(own[name]))]);
  if (placed) for (const c of placed.collections || []) if (c.reason) found.push(['Waits', c.reason]);
  if (placed && placed.prediction) found.push(['Begins', placed.prediction]);
  for (const line of (trace && trace.events) || []) found.push([when(line.ts), line.message]);
  return [trace && trace.spans.length > 0 ? lanes(trace) : null, found, leases(trace)];
}
function cancel(j, refresh) {
  const path = j.task_id ? ['DELETE', '/v1/tasks/' + encodeURIComponent(j.task_id)] : ['POST', `/v1/queues/-/jobs/${encodeURIComponent(j.job_id)}/cancel`];
  ask({title: 'Cancel this job', action: 'Cancel the job', isRisky: true, body: `${j.job_id} of ${j.queue}: what is done stays, what waits is not begun.`,
    run: async () => { await call(...path, undefined, j.tenant_id || who.place); say('The job is cancelled.'); refresh(); }});
}
/* A batch as its tenant's API tells of it, also long after it has ended. */
const batchOf = (t) => ({job_id: t.task_id, task_id: t.task_id, batch_id: (t.additional_data || {}).batch_id, type: t.task_type, state: t.status.toLowerCase(), queue: 'a batch', tenant_id: who.place,
  progress: (t.additional_data || {}).progress || {done: 0, failed: 0, total: 0}, created_at: t.created_at, started_at: t.started_at, finished_at: t.completed_at, error: t.error});
export function show(place, query, refresh) {
  let open = null;
  const one = h('div'), batches = h('div'), queued = h('div'), pages = {batches: {cursor: '', before: []}, queued: {cursor: '', before: []}};
  const state = h('select', {'aria-label': 'State', onchange: () => { Object.assign(pages.queued, {cursor: '', before: []}); refresh(); }}, h('option', {value: ''}, 'any state'), STATES.map((v) => h('option', null, v)));
  swap(place, one, batches, card('In queues', h('div', {class: 'bar'}, state), queued));
  const look = async (j) => { open = j; await refresh(); const title = document.getElementById('job-title'); if (title) { title.focus(); title.scrollIntoView({block: 'nearest'}); } };
  const list = (name, rows) => table(name, [['Job', (j) => h('button', {type: 'button', class: 'small mono', 'data-key': j.job_id, onclick: () => look(j)}, j.job_id)], ['Queue', (j) => text(j.queue)], ['State', (j) => pill(j.state)],
    ['Progress', (j) => bar(j.progress, 'Progress of job ' + j.job_id)], ['Put in', (j) => when(j.created_at), {n: 1}],
    ['', (j) => !isOver(j.state) && mayWrite() && button('Cancel', () => cancel(j, refresh), 'cancel-' + j.job_id), {act: 1}]], rows, 'None.');
  const page = (name) => (pages[name].cursor && '&cursor=' + encodeURIComponent(pages[name].cursor));
  const turner = (name) => (to) => { pages[name].cursor = to; refresh(); };
  return async () => {
    const isOne = !who.isOperator || who.place !== '', tenant = who.isOperator && who.place ? '&tenant_id=' + encodeURIComponent(who.place) : '';
    const [own, tasks] = await Promise.all([get(`/v1/cluster/jobs?limit=20${tenant}${state.value && '&state=' + state.value}${page('queued')}`), isOne ? call('POST', '/v1/tasks/list?limit=10' + page('batches'), {}) : null]);
    const ended = tasks ? tasks.results.map(batchOf) : [];
    if (open) {
      open = own.results.concat(ended).find((j) => j.job_id === open.job_id) || open;
      const [drawn, found, runs] = await more(open);
      swap(one, card(null, h('h2', {tabindex: -1, id: 'job-title'}, 'Job ', h('span', {class: 'mono'}, open.job_id)), drawn || phases(open), h('br'), runs,
        facts([['State', pill(open.state)], ['Queue', open.queue], ['Progress', bar(open.progress, 'Progress of this job')], ['Put in', when(open.created_at)], open.started_at && ['Began', when(open.started_at)],
          open.finished_at && ['Ended', when(open.finished_at)], open.batch_id && ['Batch', h('span', {class: 'mono'}, open.batch_id)], open.error && ['Error', h('span', {class: 'error'}, text(open.error))], ...found].filter(Boolean)),
        h('div', {class: 'bar'}, button('Close', () => { open = null; refresh(); }, 'close'))));
    } else one.replaceChildren();
    swap(batches, tasks ? card('Batches', list('Batches', ended), pager(tasks, pages.batches.cursor, pages.batches.before, turner('batches'))) : h('p', {class: 'dim'}, 'Choose a tenant at the top to see its batches, also those that have ended.'));
    swap(queued, list('Jobs in queues', own.results), pager(own, pages.queued.cursor, pages.queued.before, turner('queued')));
  };
}
