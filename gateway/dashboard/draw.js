/* SPDX-License-Identifier: Apache-2.0 */
/* How things are drawn. Whatever comes from outside becomes text or an attribute's value, never markup. */

export function h(name, attributes, ...children) {
  const e = document.createElement(name);
  fill(e, attributes);
  e.append(...children.flat(9).filter((c) => c !== null && c !== undefined && c !== false).map((c) => c instanceof Node ? c : String(c)));
  return e;
}
const SVG = 'http:' + '/' + '/www.w3.org/2000/svg';
export function s(name, attributes, ...children) {
  const e = document.createElementNS(SVG, name);
  fill(e, attributes);
  e.append(...children);
  return e;
}
function fill(e, attributes) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) e.addEventListener(key.slice(2), value);
    else e.setAttribute(key, value === true ? '' : value);
  }
}
export const isNumber = (v) => typeof v === 'number' && Number.isFinite(v);

/* ---- values ---- */
export const count = (v) => isNumber(v) ? v.toLocaleString('en') : '–';
export const text = (v) => v === null || v === undefined || v === '' ? '–' : typeof v === 'object' ? JSON.stringify(v) : String(v);
export function bytes(v) {
  if (!isNumber(v)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let i = 0;
  while (v >= 1024 && i < units.length - 1) { v /= 1024; i++; }
  return (i === 0 ? v : v.toFixed(v < 10 ? 1 : 0)) + ' ' + units[i];
}
export function span(seconds) {
  if (!isNumber(seconds)) return '–';
  const t = Math.max(0, seconds);
  if (t < 1) return Math.round(t * 1000) + ' ms';
  if (t < 60) return Math.floor(t) + ' s';
  if (t < 3600) return Math.floor(t / 60) + ' min ' + Math.floor(t % 60) + ' s';
  if (t < 86400) return Math.floor(t / 3600) + ' h ' + Math.floor(t % 3600 / 60) + ' min';
  return Math.floor(t / 86400) + ' d ' + Math.floor(t % 86400 / 3600) + ' h';
}
/* Roughly: nobody needs the seconds of what was an hour ago. */
export function since(time) {
  const t = (Date.now() - Date.parse(time)) / 1000;
  if (Number.isNaN(t)) return '–';
  return (t < 60 ? Math.max(0, Math.floor(t)) + ' s' : t < 3600 ? Math.floor(t / 60) + ' min' : t < 172800 ? Math.floor(t / 3600) + ' h' : Math.floor(t / 86400) + ' days') + ' ago';
}
export function when(time) {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? '–' : h('time', {datetime: at.toISOString(), title: at.toLocaleString()}, since(time));
}
const GOOD = /^(ready|alive|open|deployed|completed|succeeded|active|ok|up|live)$/i, BAD = /fail|dead|crash|lost|quarant|critical|denied/i;
const WARN = /paus|drain|stop|cordon|suspend|warn|back_off|limit|below|no_hardware|starting|error|offboard/i;
export const kind = (v) => BAD.test(v) ? 'bad' : GOOD.test(v) ? 'good' : WARN.test(v) ? 'warn' : '';
export const pill = (v) => h('span', {class: 'pill ' + kind(text(v))}, text(v).replaceAll('_', ' ').toLowerCase());
export function share(part, whole, name) {
  const inner = h('i');
  inner.style.width = (whole > 0 ? Math.min(100, 100 * part / whole) : 0) + '%';
  return h('span', {class: 'share', role: 'img', 'aria-label': name}, inner);
}

/* ---- tables ---- */
/*
 * columns: [heading, row -> text or node, {n: number, act: buttons}]. A table keeps its place under
 * the reader: what has the focus has it again when the rows are new, if it has a data-key.
 */
export function table(caption, columns, rows, none = 'none') {
  const head = columns.map(([name, , how]) => h('th', {scope: 'col', role: 'columnheader', class: how && (how.n ? 'n' : how.act ? 'act' : null)}, name || h('span', {class: 'dim'}, '')));
  const body = rows.length === 0
    ? [h('tr', {role: 'row'}, h('td', {role: 'cell', class: 'none', colspan: columns.length}, none))]
    : rows.map((row) => h('tr', {role: 'row'}, columns.map(([name, cell, how]) =>
      h('td', {role: 'cell', 'data-label': name, class: how && (how.n ? 'n' : how.act ? 'act' : null)}, h('span', null, cell(row))))));
  return h('table', {class: 'list', role: 'table', 'aria-label': caption},
    h('thead', {role: 'rowgroup'}, h('tr', {role: 'row'}, head)), h('tbody', {role: 'rowgroup'}, body));
}
export function swap(place, ...fresh) {
  const at = document.activeElement, key = place.contains(at) && at.dataset ? at.dataset.key : null;
  place.replaceChildren(...fresh.flat().filter(Boolean));
  if (key) for (const e of place.querySelectorAll('[data-key]')) if (e.dataset.key === key) { e.focus(); break; }
}
export const card = (title, ...children) => h('section', {class: 'card'}, title && h('h2', null, title), ...children);
export const tiles = (list) => h('dl', {class: 'tiles'}, list.map(([name, value, note]) =>
  h('div', null, h('dt', null, name), h('dd', null, value), note && h('dd', {class: 'note'}, note))));
export const facts = (list) => h('dl', {class: 'facts'}, list.map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));
export const button = (label, run, key, className = 'small') => h('button', {type: 'button', class: className, 'data-key': key, onclick: run}, label);
export const problem = (error) => h('p', {class: 'error', role: 'alert'}, error.message);

/* ---- charts ---- */
export function chart(title, values, format, top) {
  const known = values.filter(isNumber), most = Math.max(top || 0, ...known, 0) || 1;
  let line = '', area = '', isGap = true, at = 0;
  const x = (i) => (300 * i / Math.max(1, values.length - 1)).toFixed(1), y = (v) => (60 - 56 * v / most).toFixed(1);
  values.forEach((v, i) => {
    if (isNumber(v)) {
      line += (isGap ? 'M' : 'L') + x(i) + ' ' + y(v);
      area += isGap ? `M${x(i)} 61L${x(i)} ${y(v)}` : `L${x(i)} ${y(v)}`;
      at = i;
    }
    if (!isNumber(v) && !isGap) area += `L${x(at)} 61Z`;
    if (isNumber(v) && isGap) line += 'h.1'; /* One alone is a dot. */
    isGap = !isNumber(v);
  });
  if (!isGap) area += `L${x(at)} 61Z`;
  const last = known.length === 0 ? 'nothing yet' : format(known[known.length - 1]);
  const label = title + ': ' + last + (known.length === 0 ? '' : ', at most ' + format(Math.max(...known)));
  return h('figure', null, h('figcaption', null, h('span', null, title), h('b', null, last)),
    s('svg', {class: 'chart', viewBox: '0 0 300 62', preserveAspectRatio: 'none', role: 'img', 'aria-label': label},
      s('path', {class: 'axis', d: 'M0 61H300'}), s('path', {class: 'area', d: area}), s('path', {class: 'line', d: line})));
}
/* A number that stays until it changes, over time: points are [time, value]. */
export function steps(title, points, until, format) {
  const from = points.length === 0 ? until : points[0][0], most = Math.max(...points.map((p) => p[1]), 1);
  const x = (t) => (until === from ? 0 : 300 * (t - from) / (until - from)).toFixed(1), y = (v) => (60 - 54 * v / most).toFixed(1);
  let line = '';
  points.forEach(([t, v], i) => { line += i === 0 ? `M0 ${y(v)}` : `H${x(t)}V${y(v)}`; });
  const last = points.length === 0 ? '–' : format(points[points.length - 1][1]);
  return h('figure', null, h('figcaption', null, h('span', null, title), h('b', null, last)),
    s('svg', {class: 'chart', viewBox: '0 0 300 62', preserveAspectRatio: 'none', role: 'img', 'aria-label': `${title}: ${last} now, at most ${most}, ${points.length} changes`},
      s('path', {class: 'axis', d: 'M0 61H300'}), line && s('path', {class: 'area', d: line + 'H300V61H0Z'}), line && s('path', {class: 'line', d: line + 'H300'})));
}

/* rows: [name, from ms, to ms, class]; one lane each, on one scale. */
export function waterfall(rows) {
  const from = Math.min(...rows.map((r) => r[1])), to = Math.max(...rows.map((r) => r[2]), from + 1);
  return h('div', {class: 'fall'}, rows.map(([name, a, b, className]) => [h('span', null, name),
    h('span', {class: 'lane'}, s('svg', {viewBox: '0 0 1000 10', preserveAspectRatio: 'none', role: 'img', 'aria-label': `${name}: from ${span((a - from) / 1000)} for ${span((b - a) / 1000)}`},
      s('rect', {x: 1000 * (a - from) / (to - from), width: Math.max(3, 1000 * (b - a) / (to - from)), height: 10, rx: 2, class: className || null}))),
    h('span', {class: 'dim'}, span((b - a) / 1000))]));
}
/* Phases of one thing, as the API has them: {started_at, duration_us, phases: [{phase, within, start_us, duration_us}]}. */
export const took = (us) => !isNumber(us) ? '–' : us < 100000 ? (us / 1000).toFixed(us < 10000 ? 2 : 1) + ' ms' : us < 60e6 ? (us / 1e6).toFixed(2) + ' s' : span(us / 1e6);
const KIND = {'queue wait': 'wait', wait: 'wait', 'node wait': 'wait', 'replica wait': 'wait', 'batch wait': 'wait', ask: 'ask', lease: 'ask', commit: 'disk', record: 'disk'};
const place = (p, whole) => ({x: 1000 * p.start_us / Math.max(1, whole), width: Math.max(2, 1000 * p.duration_us / Math.max(1, whole)), height: 10, class: KIND[p.phase] || null});
const lane = (label, parts) => h('span', {class: 'lane'}, s('svg', {viewBox: '0 0 1000 10', preserveAspectRatio: 'none', role: 'img', 'aria-label': label}, ...parts.map((p) => s('rect', p))));
export const phaseLanes = (what) => h('div', {class: 'fall'}, what.phases.map((p) => [h('span', {class: p.within ? 'within' : null}, p.phase),
  lane(`${p.phase}: from ${took(p.start_us)} for ${took(p.duration_us)}`, [place(p, what.duration_us)]), h('span', {class: 'dim'}, took(p.duration_us))]));
export const phaseBar = (what) => h('span', {class: 'fall one'}, lane(what.phases.map((p) => `${p.phase} ${took(p.duration_us)}`).join(', '), what.phases.map((p) => place(p, what.duration_us))));

/* ---- what is said, what is asked ---- */
let quiet = 0;
export function say(message) {
  const place = document.getElementById('said');
  place.replaceChildren(h('p', null, message));
  clearTimeout(quiet);
  quiet = setTimeout(() => place.replaceChildren(), 7000);
}
/*
 * Ask before something is done. fields: [name, label, input attributes]. Calls run(values); its
 * failure is shown in the dialog, which stays. True: it was done.
 */
export function ask({title, body, action, isRisky, fields = [], run}) {
  const opener = document.activeElement, key = opener && opener.dataset ? opener.dataset.key : null;
  return new Promise((done) => {
    const inputs = fields.map(([name, label, attributes]) => [name, h('input', {name, ...attributes}), label]);
    const error = h('p', {class: 'error', role: 'alert'}), go = h('button', {class: isRisky ? 'risk' : 'main'}, action);
    let isDone = false;
    const dialog = h('dialog', {'aria-labelledby': 'ask-title'},
      h('form', {onsubmit: async (event) => {
        event.preventDefault();
        go.disabled = true;
        error.replaceChildren();
        try {
          await run(Object.fromEntries(inputs.map(([name, input]) => [name, input.value])));
          isDone = true;
          dialog.close();
        } catch (failure) { error.textContent = failure.message; go.disabled = false; }
      }},
      h('h2', {id: 'ask-title'}, title), h('p', null, body),
      inputs.map(([, input, label]) => h('label', null, label, input)), error,
      h('div', {class: 'bar'}, button('Cancel', () => dialog.close(), null, ''), go)));
    dialog.addEventListener('close', () => {
      dialog.remove();
      const again = opener && opener.isConnected ? opener : key && document.querySelector(`[data-key="${CSS.escape(key)}"]`);
      if (again) again.focus();
      done(isDone);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
