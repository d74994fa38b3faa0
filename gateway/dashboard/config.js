/* SPDX-License-Identifier: Apache-2.0 */
import {get, call} from '/api.js';
import {h, swap, card, table, button, ask, say, text, pill, problem} from '/draw.js';

export const lead = 'The configuration in force, and what applying other overrides would change before you apply them.';

function difference(found) {
  return [table('What would change', [['Key', (c) => h('code', null, c.path)], ['Now', (c) => h('del', null, text(c.old))], ['Then', (c) => h('ins', null, text(c.new))], ['When', (c) => pill(c.is_live ? 'at once' : 'after a restart')]], found.changes, 'Nothing would change.'),
    found.notes.length > 0 && h('ul', null, found.notes.map((n) => h('li', null, `Line ${n.line}: ${n.note}`)))];
}
export function show(place, query, refresh) {
  const area = h('textarea', {id: 'overrides', spellcheck: 'false', 'aria-describedby': 'overrides-about', placeholder: 'cluster:\n  gpu:\n    maxReplicas: 8'}), seen = h('div', {'aria-live': 'polite'}), values = h('div');
  const put = (isDry) => call('PUT', '/v1/cluster/overrides', {overrides: area.value, dry_run: isDry}, '');
  const look = async () => {
    try {
      const found = await put(true);
      swap(seen, difference(found), found.changes.length > 0 && h('div', {class: 'bar'}, button('Apply', () => ask({title: 'Apply these overrides', action: 'Apply', isRisky: true,
        body: `${found.changes.length} keys change: ${found.changes.map((c) => c.path).slice(0, 6).join(', ')}${found.changes.length > 6 ? ' …' : ''}. All overrides there were are replaced by these.`,
        run: async () => { await put(false); say('The overrides are applied.'); seen.replaceChildren(); refresh(); }}), 'apply', 'risk')));
    } catch (failure) { swap(seen, problem(failure)); }
  };
  swap(place, card('Overrides', h('label', {for: 'overrides'}, 'A file of overrides (YAML), whole'), area, h('p', {id: 'overrides-about', class: 'dim'}, 'They replace all overrides that are in force; an empty file takes them all away.'),
    h('div', {class: 'bar'}, button('Show what would change', look, 'diff', 'main')), seen), values);
  let drawn = '';
  return async () => {
    const config = await get('/v1/cluster/config', ''), fresh = JSON.stringify(config);
    if (fresh === drawn) return;
    drawn = fresh;
    swap(values, card('In force', config.after_restart.length > 0 && h('p', null, 'After the next restart: ', config.after_restart.map((k) => [h('code', null, k), ' '])),
      table('Configuration', [['Key', ([k]) => h('code', null, k)], ['Value', ([, v]) => h('code', null, text(v))]], Object.entries(config.values))));
  };
}
