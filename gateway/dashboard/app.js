/* SPDX-License-Identifier: Apache-2.0 */
/* The frame: who is in, which page is shown, and whether what it shows is live. */
import {who, login, logout, recognise, live, get, onLogout} from '/api.js';
import {h, swap, say, button, problem} from '/draw.js';

/* [path, name, module, operators only] */
const pages = [
  ['/', 'Overview', 'overview'], ['/nodes', 'Nodes', 'nodes', 1], ['/extractors', 'Extractors', 'extractors'],
  ['/queues', 'Queues', 'queues'], ['/jobs', 'Jobs', 'jobs'], ['/requests', 'Requests', 'requests'], ['/dead', 'Dead letters', 'dead'],
  ['/memory', 'Models and memory', 'memory'], ['/tenants', 'Tenants', 'tenants'], ['/events', 'Events', 'events'], ['/logs', 'Logs', 'logs'],
  ['/config', 'Configuration', 'config', 1],
];
const byId = (id) => document.getElementById(id);
const main = byId('main');
let shown = 0, leave = null;

const states = {live: ['live', 'good'], lost: ['no answer: these figures are old; trying again', 'bad'], out: ['not logged in', ''], connecting: ['connecting', '']};
let said = '';
function setState(name) { /* Only changes are announced. */
  if (name === said) return;
  said = name;
  const [words, className] = states[name];
  byId('state').textContent = words;
  byId('state').className = 'state ' + className;
}
live.onState = setState;

const where = () => {
  const [path, query = ''] = location.hash.slice(1).split('?');
  return {path: path || '/', query: new URLSearchParams(query)};
};

function drawFrame() {
  const {path} = where();
  byId('nav').hidden = !who.isIn;
  document.body.className = who.isIn ? '' : 'out';
  byId('nav').replaceChildren(...pages.filter((p) => !p[3] || who.isOperator).map(([to, name]) =>
    h('a', {href: '#' + to, 'aria-current': to === path ? 'page' : null}, name)));
  const current = byId('nav').querySelector('[aria-current]');
  if (current && byId('nav').scrollWidth > byId('nav').clientWidth) byId('nav').scrollLeft = current.offsetLeft - 40;
  byId('who').replaceChildren(...(who.isIn
    ? [h('span', null, who.isOperator ? 'operator' : who.tenant), who.isOperator && place(), button('Log out', logout, 'logout')].filter(Boolean) : []));
}

/* An operator sees all, or what one tenant sees. */
let tenants = [], hasMore = false;
const KNOWN = 20; /* With more than these one is typed. */
function place() {
  const take = (to) => { who.place = to; show(); };
  if (hasMore) {
    return h('input', {'aria-label': 'Show what this tenant sees', 'data-key': 'place', placeholder: 'all tenants', value: who.place, spellcheck: 'false',
      onchange: async (event) => {
        const wanted = event.target.value.trim();
        try { if (wanted) await get('/v1/tenants/' + encodeURIComponent(wanted), ''); take(wanted); } catch (failure) { say(failure.message); }
      }});
  }
  const select = h('select', {'aria-label': 'Show what this tenant sees', 'data-key': 'place', onchange: () => take(select.value)},
    h('option', {value: ''}, 'all tenants'), tenants.map((t) => h('option', {value: t, selected: t === who.place}, t)));
  return select;
}
async function readTenants() {
  if (!who.isOperator) return;
  const page = await get('/v1/tenants?limit=' + KNOWN, '');
  tenants = page.results.map((t) => t.tenant_id);
  hasMore = page.pagination.next_cursor !== null;
  drawFrame();
}

function showLogin(why) {
  leavePage();
  setState('out');
  drawFrame();
  document.title = 'Log in – sluice';
  const key = h('input', {id: 'key', type: 'password', name: 'key', autocomplete: 'current-password', required: true, spellcheck: 'false', 'aria-describedby': 'key-about'});
  const error = h('div'), go = h('button', {class: 'main'}, 'Log in');
  swap(main, h('div', {class: 'login card'}, h('h1', null, 'Log in'),
    why && h('p', {class: 'dim', role: 'status'}, why),
    h('form', {onsubmit: async (event) => {
      event.preventDefault();
      go.disabled = true;
      try {
        await login(key.value.trim());
        show();
        readTenants().catch(() => {});
      } catch (failure) { error.replaceChildren(problem(failure)); key.focus(); }
      go.disabled = false;
    }},
    h('label', {for: 'key'}, 'API key', key),
    h('p', {id: 'key-about', class: 'dim'}, 'An operator’s key shows everything, a tenant’s key its own part. The operator’s lies in admin.key of the data directory. Only a cookie stays in this browser.'),
    error, go)));
  key.focus();
}

function leavePage() {
  shown++;
  if (leave) leave();
  leave = null;
}

/* A page is a module with title, lead and show(place, query) -> refresh. */
async function show() {
  leavePage();
  const mine = shown, {path, query} = where();
  const found = pages.find(([to]) => to === path) || pages[0];
  drawFrame();
  live.open();
  document.title = found[1] + ' – sluice';
  let module;
  try {
    module = await import(`/${found[2]}.js`);
  } catch { /* The head is away. */
    if (mine === shown) setTimeout(() => { if (mine === shown) show(); }, 1500);
    return;
  }
  if (mine !== shown) return;
  const body = h('div'), note = h('div', {'aria-live': 'polite'});
  swap(main, h('h1', null, found[1]), h('p', {class: 'lead'}, module.lead), note, body);
  let isBusy = false, isWanted = false, page = null;
  const refresh = async (summary) => {
    if (isBusy) { isWanted = true; return; }
    isBusy = true;
    try {
      page = page || module.show(body, query, refresh);
      await page(summary || live.summary);
      if (mine === shown) note.replaceChildren();
    } catch (failure) {
      if (mine === shown && failure.status !== 401) note.replaceChildren(problem(failure));
    }
    isBusy = false;
    if (isWanted && mine === shown) { isWanted = false; refresh(); }
  };
  const listener = (summary) => { if (!document.querySelector('dialog[open]')) refresh(summary); };
  live.listeners.add(listener);
  leave = () => live.listeners.delete(listener);
  await refresh();
}

window.addEventListener('hashchange', async () => {
  if (!who.isIn) return;
  await show();
  main.focus({preventScroll: true});
  window.scrollTo(0, 0);
});
onLogout(() => {
  live.close();
  live.summary = null;
  who.place = '';
  showLogin('Your session is over: log in again.');
});

/* While the head is away this page stays, and asks again: a reload would leave the browser's error. */
async function begin() {
  try {
    await recognise();
  } catch (failure) {
    if (failure.status === 401) { showLogin(); return; }
    setState('lost');
    setTimeout(begin, 3000);
    return;
  }
  await show();
  readTenants().catch(() => {});
}
begin();
