/* SPDX-License-Identifier: Apache-2.0 */
/* What the pages ask for: routes of the API (docs/api.md) by the session's cookie, and the live stream. */

export const who = {isIn: false, isOperator: false, tenant: '', place: ''};
const OWN = {'X-Sluice-Dashboard': '1'}; /* No page of another site can send it. */

export class Failure extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

const lost = new EventTarget();
export const onLogout = (run) => lost.addEventListener('out', run);

async function read(reply) {
  const text = await reply.text();
  let body = null;
  try { body = text === '' ? null : JSON.parse(text); } catch { /* Not all is JSON. */ }
  if (reply.ok) return body;
  const error = body && body.error;
  throw new Failure(reply.status, (error && error.message) || `${reply.status} ${reply.statusText}`);
}

/* `tenant`: in whose place an operator asks; unset: the one chosen at the top. */
export async function call(method, path, body, tenant = who.place) {
  const headers = {...OWN};
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (tenant && who.isOperator) headers['X-Tenant-Id'] = tenant;
  let reply;
  live.asked++;
  try {
    reply = await fetch(path, {method, headers, cache: 'no-store', credentials: 'same-origin',
      body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(20000)});
  } catch { throw new Failure(0, 'no answer from this server'); }
  if (reply.status === 401 && who.isIn) {
    who.isIn = false;
    lost.dispatchEvent(new Event('out'));
  }
  return read(reply);
}
export const get = (path, tenant) => call('GET', path, undefined, tenant);

/* Wait for what a route follows; the id of the last event it told of, or '' where the wait is over. */
export async function follow(path, id, signal) {
  const reply = await fetch(path, {headers: {...OWN, ...(id ? {'Last-Event-ID': id} : {})}, cache: 'no-store', credentials: 'same-origin', signal});
  if (!reply.ok) throw new Failure(reply.status, reply.statusText);
  const ids = (await reply.text()).match(/^id: *(.+)$/gm);
  return ids ? ids[ids.length - 1].slice(3).trim() : '';
}

export async function recognise() {
  if (!who.isIn && !(await get('/session', '')).is_in) throw new Failure(401, 'log in first');
  const me = await get('/v1/whoami', '');
  Object.assign(who, {isIn: true, isOperator: me.is_operator === true, tenant: me.tenant_id, permissions: me.permissions || []});
}
export const mayAdmin = () => who.isOperator || who.permissions.includes('admin');
export const mayWrite = () => who.isOperator || who.permissions.includes('write');

export async function login(key) {
  let reply;
  try {
    reply = await fetch('/session', {method: 'POST', headers: {...OWN, Authorization: 'Bearer ' + key}, credentials: 'same-origin'});
  } catch { throw new Failure(0, 'no answer from this server'); }
  await read(reply);
  await recognise();
}
export async function logout() {
  live.close();
  try { await fetch('/session', {method: 'DELETE', headers: OWN, credentials: 'same-origin'}); } catch { /* It is over here all the same. */ }
  who.isIn = false;
  lost.dispatchEvent(new Event('out'));
}

/*
 * One stream a tab, and none while nobody looks at it: browsers give a host six connections in all.
 * What has changed is told to the page at most once a second, and no sooner than a second for each
 * request that the last time cost: so a tab asks once a second, on average, whatever its page shows.
 * After a quiet time a change is told at once; what comes meanwhile is one change.
 */
export const live = {
  source: null, summary: null, listeners: new Set(), onState: () => {}, told: 0, asked: 0, timer: 0, retry: 0,
  open() {
    if (this.source || document.hidden || !who.isIn) return;
    const source = this.source = new EventSource('/live');
    source.onopen = () => this.onState('live');
    source.addEventListener('summary', (e) => { this.onState('live'); this.summary = JSON.parse(e.data); this.tell(); });
    source.addEventListener('look', () => { this.onState('live'); this.tell(); });
    source.onerror = () => {
      this.onState('lost');
      this.close();
      this.retry = setTimeout(() => this.again(), 1500);
    };
  },
  /* Back, or no longer logged in? Asking tells, and says so to the page. */
  async again() {
    try {
      await recognise();
      this.open();
      this.tell();
    } catch (error) {
      if (error.status !== 401 && !document.hidden) this.retry = setTimeout(() => this.again(), 1500);
    }
  },
  close() {
    clearTimeout(this.retry);
    if (this.source) this.source.close();
    this.source = null;
  },
  tell() {
    clearTimeout(this.timer);
    const wait = Math.max(0, this.told + 1000 * Math.min(5, Math.max(1, this.asked)) - Date.now());
    this.timer = setTimeout(() => {
      this.told = Date.now();
      this.asked = 0;
      for (const run of this.listeners) run(this.summary);
    }, wait);
  },
};
document.addEventListener('visibilitychange', () => {
  if (document.hidden) live.close();
  else if (who.isIn) { live.open(); live.tell(); }
});
