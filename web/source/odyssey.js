// Odyssey's browser snippet: the calls of analytics.js, and behaviour added up in the page.
//
// `../odyssey.js` is made from this file and is what pages load; a test makes it anew and compares. `../README.md` says what is
// sent, kept and withheld. Two rules stand above all: without the visitor's consent nothing leaves the page and nothing is stored
// in the browser; and what a form field holds is never read.
(() => {
  'use strict';
  // Everything is put onto the queue's own object, so that references taken before this ran go on working.
  const analytics = (window.analytics = window.analytics || []);
  if (analytics.initialized) return;

  const SESSION_GAP = 30 * 60e3; // milliseconds without activity after which a session has ended
  const ATTENTION = 30e3; // milliseconds after a sign of life in which the visitor is taken to be looking
  const EVENTS_MAX = 200; // waiting; beyond, the oldest go
  const EVENT_BYTES_MAX = 31e3; // ingest takes 32 KB with the batch's context
  const BATCH_BYTES_MAX = 60e3; // browsers carry 64 KB beyond the life of a page
  const PAUSE_MAX = 864e5; // the longest Retry-After that is believed: a day
  const BACKOFF_MAX = 60e3;
  const DWELL_MAX = 10; // what the server looks at

  // The ids are where Segment keeps them: a property that moves to Odyssey keeps its visitors.
  const USER = 'ajs_user_id';
  const DEVICE = 'ajs_anonymous_id';
  const CONSENT = 'odyssey_consent';
  const SESSION = 'odyssey_session';
  const SHELF = 'odyssey_queue';
  const PAUSE = 'odyssey_pause';
  const BACKOFF = 'odyssey_backoff';

  const script = document.currentScript || {};
  const attributes = { ...script.dataset };
  let options = {};
  let writeKey;
  let state = 'pending'; // 'granted' | 'denied'
  let wish; // what the page said last; the browser may object
  let kept; // the grant stands in storage
  let me = {}; // userId, anonymousId, traits; no anonymous id exists before consent
  let session = {}; // id, at (last activity)
  let queue = []; // what waits and is not on the shelf
  let timer;
  let busy; // a request is under way
  let failures = 0;
  let resume = 0; // when to try again
  let pause; // what the server asked for, which coming online does not end
  let visit; // of the current page; nothing before `load`
  let forms = new Map(); // those that were begun
  let pointer; // the element beneath the mouse
  let rested; // what it lay on a second ago
  let lively = Date.now(); // the last sign of life
  let seen; // the page as Segment's stub saw it when a call was queued

  const said = {};
  const say = (what) => said[what] || console.warn('[odyssey] ' + (said[what] = what));
  const attempt = (act) => { try { return act(); } catch {} };
  const on = (types, act) => types.split(' ').map((type) => addEventListener(type, act, { capture: true, passive: true }));
  // `crypto.randomUUID` is missing where a page comes over plain HTTP.
  const uuid = () => 'xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx'.replace(/x/g, () => (crypto.getRandomValues(new Uint8Array(1))[0] & 15).toString(16));
  const bytes = (value) => new Blob([JSON.stringify(value)]).size;
  const now = () => new Date().toISOString();
  const granted = () => state === 'granted';

  // --- Storage. A browser may refuse it; then all stays in memory.

  const parsed = (name) => attempt(() => JSON.parse(localStorage.getItem(name)));
  const read = (name) => granted() && parsed(name);
  const write = (name, value) => granted() && attempt(() => { localStorage.setItem(name, JSON.stringify(value)); return true; });
  const remove = (...names) => names.map((name) => attempt(() => localStorage.removeItem(name)));
  // Cookies only where the page names their domain, for ids that subdomains are to share.
  const cookie = (name, value) => {
    if (options.cookieDomain) {
      document.cookie = name + '=' + encodeURIComponent(value || '') + ';path=/;samesite=lax;domain=' + options.cookieDomain
        + ';max-age=' + (value ? 31536e3 : 0) + (location.protocol === 'https:' ? ';secure' : '');
    }
  };
  const known = (name) => {
    const found = granted() && options.cookieDomain && document.cookie.match('(?:^|; )' + name + '=([^;]+)');
    return found ? decodeURIComponent(found[1]) : read(name) || undefined;
  };
  const keep = (name, value) => {
    if (!granted()) return;
    if (value) write(name, value); else remove(name);
    cookie(name, value);
  };
  const save = () => { keep(DEVICE, me.anonymousId); keep(USER, me.userId); };

  // --- Consent.

  const opposed = () => navigator.globalPrivacyControl && String(options.honourGpc) !== 'false';

  const consent = (next) => {
    if (!next) return state;
    wish = next;
    if (state === 'denied' && visit) arrive(); // what was seen meanwhile stays unsaid
    state = opposed() ? 'denied' : next === 'granted' || next === 'denied' ? next : 'pending';
    if (state === 'denied') {
      remove(USER, DEVICE, CONSENT, SESSION, SHELF, PAUSE, BACKOFF);
      cookie(USER);
      cookie(DEVICE);
      queue = [];
      session = {};
      me.anonymousId = kept = undefined;
    }
    if (granted()) {
      const before = known(USER);
      const other = before && me.userId && before !== me.userId; // somebody else used this browser last
      me.userId = me.userId || before;
      me.anonymousId = me.anonymousId || (!other && known(DEVICE)) || uuid();
      kept = write(CONSENT, state);
      save();
      queue.map(complete);
      soon();
    }
    return state;
  };

  // The session's id; all tabs share one.
  const current = () => {
    const shared = read(SESSION) || session;
    if (shared.id !== session.id || shared.at > session.at) session = shared;
    if (!session.id || Date.now() - session.at > SESSION_GAP) session = { id: uuid() };
    session.at = Date.now();
    write(SESSION, session);
    return session.id;
  };

  // Gives an event the ids that do not exist before consent.
  const complete = (event) => {
    const context = (event.context = event.context || {});
    event.anonymousId = event.anonymousId || me.anonymousId;
    event.messageId = event.messageId || uuid(); // `before` may have dropped it
    context.sessionId = context.sessionId || current();
    if (event.event === 'Page Left') event.properties.session_id = context.sessionId;
    if (event.type === 'alias') event.previousId = event.previousId || me.anonymousId;
  };

  // --- Events.

  const here = () => seen || {
    path: location.pathname,
    referrer: document.referrer,
    search: location.search,
    title: document.title,
    url: location.href.split('#')[0],
  };

  const campaignOf = (search) => {
    const campaign = {};
    new URLSearchParams(search).forEach((value, name) => {
      if (name.startsWith('utm_')) campaign[name === 'utm_campaign' ? 'name' : name.slice(4)] = value;
    });
    return campaign;
  };

  const put = (type, fields, given, page = here(), sessionId) => {
    const { context, ...top } = given || {};
    const { userId, anonymousId } = me;
    const whole = {
      type, messageId: uuid(), timestamp: now(), userId, anonymousId, ...fields, ...top,
      context: { page, campaign: campaignOf(page.search), sessionId, ...context },
    };
    // A copy: the page may change what it gave, and what JSON cannot say must not break the page.
    let event = attempt(() => JSON.parse(JSON.stringify(whole)));
    if (event && options.before) event = attempt(() => options.before(event));
    if (!event) return;
    if (state === 'denied') {
      say('Events are withheld: ' + (opposed() ? 'this browser sends Global Privacy Control.' : 'consent is denied.'));
      return event;
    }
    if (bytes(event) > EVENT_BYTES_MAX) {
      say('An event over 31 KB was dropped.');
      return event;
    }
    queue = latest([...queue, event]);
    if (granted()) {
      complete(event);
      soon();
    } else {
      say('Events are held in memory: consent is pending. analytics.consent("granted") sends them.');
    }
    return event;
  };

  // --- Delivery: one request at a time. All that waits is shelved before it is sent, where any tab and the next page find it, and
  // is taken off once it is answered: a page may go at any moment. What two tabs send has one messageId.

  const later = (wait) => { timer = timer || setTimeout(flush, wait); };
  const soon = () => (waiting().length < (options.flushAt || 20) ? later(options.flushInterval || 5e3) : flush());
  const url = () => (options.host || new URL(script.src || location).origin) + '/v1/batch';

  const waiting = () => [...(read(SHELF) || []), ...queue];

  const latest = (events) => {
    if (events.length > EVENTS_MAX) say('Over 200 events are waiting; the oldest are dropped.');
    return events.slice(-EVENTS_MAX);
  };

  const shelve = () => {
    if (queue[0] && write(SHELF, latest(waiting()))) queue = [];
  };

  // As many of the first as one request may carry.
  const fitting = (events) => {
    let size = 1e3; // what stands around the events
    const over = events.findIndex((event) => (size += bytes(event) + 1) > BATCH_BYTES_MAX);
    return over < 0 ? events : events.slice(0, over);
  };

  const settle = (batch) => {
    const open = (event) => !batch.some(({ messageId }) => messageId === event.messageId);
    queue = queue.filter(open);
    const shelf = (read(SHELF) || []).filter(open);
    if (shelf[0]) write(SHELF, shelf); else remove(SHELF);
  };

  // The key stands in the body and the body is text, so that no preflight is asked for.
  const body = (batch) => JSON.stringify({
    writeKey,
    batch,
    sentAt: now(),
    context: {
      library: { name: 'odyssey.js', version: analytics.VERSION },
      locale: navigator.language,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      userAgent: navigator.userAgent,
      gpc: navigator.globalPrivacyControl,
    },
  });

  // A time too far ahead is of a clock that was wrong.
  const paused = () => Math.max(...[resume, pause, read(PAUSE), read(BACKOFF)].map((at) => (at - Date.now() <= PAUSE_MAX ? at : 0))) - Date.now();
  const again = () => later(paused() + Math.random() * 1e3); // not all tabs and visitors at once

  const refused = (answer) => {
    if (answer.status === 429 || answer.status > 499) throw answer.headers.get('retry-after');
    if (!answer.ok) say('Events were refused with status ' + answer.status + '.');
    failures = 0;
  };

  // The next pages wait as well: an answer without our headers, as of a gateway in trouble, looks like no answer.
  const failed = (told) => {
    const wait = told > 0 ? told * 1e3 : Date.parse(told) - Date.now() || 0;
    if (wait > 0) write(PAUSE, (pause = Date.now() + Math.min(wait, PAUSE_MAX)));
    write(BACKOFF, (resume = Date.now() + Math.min(BACKOFF_MAX, 500 * 2 ** ++failures) * (1 + Math.random())));
    again();
  };

  const flush = () => {
    timer = clearTimeout(timer);
    if (!writeKey || !granted()) return;
    if (document.prerendering) return later(1e3); // a page that nobody has seen yet, and perhaps never will
    shelve();
    if (busy) return;
    if (paused() > 0) return again();
    const batch = fitting(waiting());
    if (!batch[0]) return;
    busy = true;
    return fetch(url(), { method: 'POST', body: body(batch), keepalive: true, credentials: 'omit' })
      .then(refused)
      .then(() => settle(batch), failed)
      .then(() => {
        busy = false;
        if (waiting()[0]) soon();
      });
  };

  // The page goes: what waits is handed to the browser, which tells nobody what became of it. Where something failed (then it is
  // still on the shelf), the next page sends it.
  const beacon = () => {
    if (document.prerendering) return;
    while (writeKey && granted() && queue[0] && navigator.onLine && paused() <= 0 && ((busy && !failures) || !read(SHELF))) {
      const batch = fitting(queue);
      if (!navigator.sendBeacon(url(), body(batch))) break;
      queue = queue.slice(batch.length);
    }
    shelve();
  };

  // --- Behaviour.

  const arrive = () => {
    forms.clear();
    visit = { page: here(), href: location.href, seconds: 0, depth: 0, dwell: {}, fresh: true };
    pointer = rested = undefined;
  };

  // Of the page and session that are being left, whatever the address bar says by now.
  const tell = (event, properties) => put('track', { event, properties }, {}, visit.page, session.id);

  const reach = () => {
    const percent = Math.round(((scrollY + innerHeight) / document.documentElement.scrollHeight) * 100) || 0;
    visit.depth = Math.max(visit.depth, Math.min(percent, 100));
  };

  // Tells what came since it told last: seconds and dwell of one page add up.
  const leave = () => {
    if (!visit.fresh && !visit.seconds) return;
    const { path, url, title } = visit.page;
    const dwell = Object.values(visit.dwell).sort((a, b) => b.seconds - a.seconds).slice(0, DWELL_MAX);
    if (session.id && !((read(SESSION) || session).at > session.at)) write(SESSION, session);
    tell('Page Left', { path, url, title, seconds: visit.seconds, scroll_depth: visit.depth, dwell });
    visit.fresh = visit.seconds = 0;
    visit.dwell = {};
  };

  const depart = () => {
    forms.forEach(({ begun, fields, ...form }) => {
      tell('Form Abandoned', { ...form, fields: fields.size, seconds: Math.round((Date.now() - begun) / 1e3) });
    });
    forms.clear(); // a page that is gone may come back
    leave();
  };

  const alive = () => {
    if (Date.now() - lively > SESSION_GAP) {
      leave();
      session = {};
    }
    session.at = lively = Date.now();
  };

  const second = () => {
    const quiet = Date.now() - lively;
    if (document.visibilityState !== 'visible' || quiet > SESSION_GAP) return;
    visit.seconds++;
    reach();
    // Where there is no mouse, what is in the middle of the screen is what is looked at.
    const element = pointer || document.elementFromPoint(innerWidth / 2, innerHeight / 2);
    const named = (name) => {
      const found = element && element.closest('[' + name + ']');
      return found ? found.getAttribute(name) : undefined;
    };
    const product_id = named('data-product-id');
    const category = named('data-category');
    const subject = [product_id, category].join();
    if ((product_id || category) && quiet < ATTENTION && !element.closest('[data-odyssey-ignore]')) {
      const entry = (visit.dwell[subject] = visit.dwell[subject] || { product_id, category, seconds: 0, hovers: 0 });
      entry.seconds++;
      if (rested !== subject) entry.hovers++;
    }
    rested = subject;
  };

  // The form of an event, by name: never what is in it.
  const formOf = ({ target }) => target.closest && !target.closest('[data-odyssey-ignore]') && target.closest('form');
  const described = (form) => {
    const named = (name) => form.getAttribute(name);
    return { form: named('data-odyssey-form') || named('name') || named('id') || 'form', path: visit.page.path };
  };

  const watch = () => {
    arrive();
    on('pointermove pointerdown scroll input', alive);
    on('scroll', reach);
    on('pointerover', (event) => { pointer = event.pointerType === 'mouse' && event.target; });
    on('input', (event) => {
      const form = formOf(event);
      if (!form) return;
      if (!forms.has(form)) {
        forms.set(form, { ...described(form), begun: Date.now(), fields: new Set() });
        tell('Form Started', described(form));
      }
      forms.get(form).fields.add(event.target.name || event.target);
    });
    on('submit', (event) => {
      const form = formOf(event);
      if (!form) return;
      forms.delete(form);
      tell('Form Submitted', described(form));
    });
    on('visibilitychange', () => {
      if (document.visibilityState === 'visible') return;
      reach();
      leave();
      flush();
      shelve();
    });
    on('pagehide', () => {
      reach();
      depart();
      beacon();
    });
    on('online', () => {
      resume = 0; // a Retry-After still holds
      remove(BACKOFF);
      flush();
    });
    // Another tab withdrew; a page that comes back was told nothing of it.
    on('storage pageshow', ({ key, newValue }) => (key === CONSENT ? !newValue : kept && !parsed(CONSENT)) && consent('denied'));
    setInterval(second, 1e3);
  };

  // --- The calls.

  const view = (type) => (...args) => {
    const [name, category] = args.filter((part) => typeof part === 'string').reverse();
    const [properties, given] = args.filter((part) => part && typeof part === 'object');
    if (visit && visit.href !== location.href) {
      depart();
      arrive();
    }
    return put(type, { name, category, properties: { ...here(), name, category, ...properties } }, given);
  };

  const calls = {
    track: (event, properties, given) => put('track', { event, properties }, given),
    page: view('page'),
    screen: view('screen'),
    identify: (id, traits, given) => {
      if (id && typeof id === 'object') [id, traits, given] = [undefined, id, traits];
      id = id ? String(id) : me.userId;
      const other = me.userId && id !== me.userId; // another user is another visitor
      me = {
        userId: id,
        anonymousId: other ? granted() ? uuid() : undefined : me.anonymousId,
        traits: { ...(!other && me.traits), ...traits },
      };
      save();
      return put('identify', { traits: me.traits }, given);
    },
    group: (groupId, traits, given) => put('group', { groupId, traits }, given),
    alias: (userId, previousId, given) => put('alias', { userId, previousId: previousId || me.userId || me.anonymousId }, given),
  };

  const methods = {
    load: (key, given) => {
      if (writeKey) return;
      writeKey = key;
      options = given || {};
      watch();
      // A grant of an earlier page holds until the page says otherwise.
      consent(wish || options.consent || parsed(CONSENT) || state);
    },
    consent,
    flush,
    ready: (act) => Promise.resolve().then(act),
    user: () => ({ id: () => me.userId || null, anonymousId: () => me.anonymousId || null, traits: () => me.traits || {} }),
    setAnonymousId: (id) => {
      me.anonymousId = id;
      save();
      return id;
    },
    reset: () => {
      if (visit) {
        depart();
        arrive();
      }
      remove(SESSION, USER, DEVICE);
      cookie(USER);
      cookie(DEVICE);
      session = {};
      me = { anonymousId: granted() ? uuid() : undefined };
      save();
    },
    push: ([name, ...args]) => (methods[name] ? methods[name](...args) : say('analytics.' + name + ' is not supported.')),
  };

  for (const name in calls) {
    methods[name] = (...args) => {
      let last = args.pop();
      if (last && last.__t === 'bpc') {
        seen = { path: last.p, referrer: last.r, search: last.s, title: last.t, url: last.u };
        last = args.pop();
      }
      const called = typeof last === 'function' && last;
      if (!called) args.push(last);
      const done = Promise.resolve({ event: calls[name](...args) });
      seen = undefined;
      if (called) done.then(called);
      return done;
    };
  }

  // --- The start: what was called before this ran.

  const early = analytics.splice(0);
  Object.assign(analytics, methods, { VERSION: '1.0.0', initialize: true, initialized: true });
  const key = analytics._writeKey || attributes.writeKey;
  if (key) analytics.load(key, analytics._loadOptions || attributes);
  early.sort((a, b) => (b[0] === 'setAnonymousId') - (a[0] === 'setAnonymousId')).map((call) => analytics.push(call));
  if (attributes.writeKey && attributes.page !== 'manual') analytics.page();
})();
