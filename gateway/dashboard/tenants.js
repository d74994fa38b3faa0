/* SPDX-License-Identifier: Apache-2.0 */
import {who, get} from '/api.js';
import {h, swap, card, table, count, pill, when, text, share, facts, button} from '/draw.js';
import {pager} from '/queues.js';

export const lead = 'Who is served, what each may use, has used, and what that costs.';

const money = (v, currency) => typeof v === 'number' ? v.toLocaleString('en', {style: 'currency', currency: currency || 'USD', maximumFractionDigits: v < 1 ? 6 : 2}) : '–';

async function details(id) {
  const name = encodeURIComponent(id), [quotas, usage] = await Promise.all([get(`/v1/tenants/${name}/quotas`, ''), get(`/v1/tenants/${name}/usage`, '')]);
  const limits = Object.entries(quotas.limits), days = usage.by_day || [], most = Math.max(1, ...days.map((d) => d.requests));
  return [h('h2', {id: 'tenant-title', tabindex: -1}, 'Tenant ', id), facts([['Period', usage.period], ['Calls', count(usage.total_requests)], ['Cost', money(usage.total_cost, usage.currency)]]),
    h('div', {class: 'two'}, h('div', null, h('h3', null, 'Quota'), table('Quota of ' + id, [['Limit', ([k]) => k.replaceAll('_', ' ')], ['At most', ([, v]) => text(v), {n: 1}],
      ['Used', ([k, v]) => { const used = quotas.usage[k], n = typeof used === 'number' ? used : used && used.used; return n === undefined ? '–' : [count(n), ' ', share(n, Number(v), `${k}: ${n} of ${v}`)]; }, {n: 1}]], limits, 'Nothing is limited.')),
    h('div', null, h('h3', null, 'What it was used for'), table('Usage of ' + id, [['What', (g) => text(g.key.resource_type).replaceAll('_', ' ')], ['Amount', (g) => `${count(g.amount)} ${g.unit}s`, {n: 1}], ['Cost', (g) => money(g.cost, usage.currency), {n: 1}]], usage.groups || [], 'Nothing yet.'))),
    h('h3', null, 'Calls by day'), table('Calls by day', [['Day', (d) => d.date], ['Calls', (d) => [count(d.requests), ' ', share(d.requests, most, `${d.requests} calls`)], {n: 1}]], days, 'None yet.')];
}
export function show(place, query, refresh) {
  let open = who.isOperator ? who.place : who.tenant, cursor = '';
  const before = [], list = h('div'), one = h('div');
  swap(place, one, list);
  const look = async (id) => { open = id; await refresh(); const title = document.getElementById('tenant-title'); if (title) title.focus(); };
  return async () => {
    if (open) swap(one, card(null, await details(open), who.isOperator && button('Close', () => { open = ''; refresh(); }, 'close')));
    else one.replaceChildren();
    if (!who.isOperator) return;
    const page = await get('/v1/tenants?limit=50' + (cursor && '&cursor=' + encodeURIComponent(cursor)), '');
    swap(list, card(null, table('Tenants', [['Tenant', (t) => button(t.tenant_id, () => look(t.tenant_id), 't-' + t.tenant_id)], ['Name', (t) => text(t.name)], ['State', (t) => pill(t.state)], ['Plan', (t) => text(t.plan)],
      ['Isolation', (t) => text(t.isolation_enforced || t.isolation_level)], ['Since', (t) => when(t.created_at), {n: 1}]], page.results), pager(page, cursor, before, (to) => { cursor = to; refresh(); })));
  };
}
