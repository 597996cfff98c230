// What the snippet must do, each in a browser context (cookies, storage) and with a write key of its own.
'use strict'

const GRANTED = { consent: 'granted' }
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/
const GPC = "Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })"
// Events stay on the shelf until they are answered.
const emptied = (tab) => until('an empty shelf', async () => (await tab.stored()).odyssey_queue === undefined)
const withheld = (tab) => tab.console.filter((line) => line.startsWith('[odyssey]'))

const scenarios = {
  async 'ten events cost one request'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED))
    await tab.loaded()
    await stage.arrived('page')
    await tab.run(() => { for (let i = 0; i < 10; i++) analytics.track('Tried', { i }) })
    const events = await stage.arrived('Tried', 10)
    same(events.map((event) => event.properties.i), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 'order')
    same((await stage.posted()).length, 2, 'requests: the page, the ten')
    const [{ body, content_type, mode }] = await stage.posted()
    same([content_type, mode, body.writeKey], ['text/plain;charset=UTF-8', 'cors', stage.key], 'the request')
    holds(Date.now() - Date.parse(body.sentAt) < 60000, 'sentAt')
    same(Object.keys(body.context).sort(), ['library', 'locale', 'timezone', 'userAgent'], 'the context of all')
    for (const event of events) {
      holds(UUID.test(event.messageId) && UUID.test(event.anonymousId) && UUID.test(event.context.sessionId), 'ids')
      holds(event.context.page.path.endsWith('-a') && !('userId' in event), 'page and nobody')
    }
    same(new Set(events.map((event) => event.messageId)).size, 10, 'message ids')
  },

  async 'twenty events do not wait'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', { ...GRANTED, flushInterval: 60000 }))
    await tab.loaded()
    await tab.run(() => { for (let i = 0; i < 19; i++) analytics.track('Tried', { i }) })
    await stage.arrived('Tried', 19)
    same((await stage.posted()).length, 1, 'requests')
  },

  async 'what was queued before it loaded is drained in order'(stage) {
    // The stub of Segment's snippet, with the page as it was when the call was made.
    const calls = [
      ['identify', 'u-1', { plan: 'pro' }],
      ['track', 'Early', { n: 1 }, { __t: 'bpc', p: '/before', u: 'https://shop.example/before', s: '?utm_source=news&utm_campaign=may', t: 'Before', r: 'https://from.example/' }],
      ['setAnonymousId', 'device-1'],
      ['on', 'track', null],
    ]
    const stub = `<script>
      window.analytics = [];
      analytics._writeKey = ${JSON.stringify(stage.key)};
      analytics._loadOptions = ${JSON.stringify({ host: config.api, flushInterval: 100, consent: 'granted' })};
      window.mine = analytics;
      ${JSON.stringify(calls)}.forEach((call) => analytics.push(call));
      analytics.push(['ready', () => { window.isReady = true; }]);
    </script><script async src="/odyssey.js"></script>`
    const tab = await stage.tab()
    await tab.go(await stage.html('a', stub))
    const [early] = await stage.arrived('Early')
    const [identify] = await stage.arrived('identify')
    same([early.anonymousId, early.userId, identify.anonymousId], ['device-1', 'u-1', 'device-1'], 'ids')
    same(identify.traits, { plan: 'pro' }, 'traits')
    same(early.context.page, { path: '/before', url: 'https://shop.example/before', search: '?utm_source=news&utm_campaign=may', title: 'Before', referrer: 'https://from.example/' }, 'the page then')
    same(early.context.campaign, { source: 'news', name: 'may' }, 'campaign')
    await until('ready', () => tab.run(() => window.isReady))
    await tab.run(() => { window.mine.track('Kept reference') })
    const [kept] = await stage.arrived('Kept reference')
    holds(kept.context.page.path.endsWith('-a'), 'the page now')
    same(withheld(tab), ['[odyssey] analytics.on is not supported.'], 'console')
  },

  async 'the calls are those of analytics.js'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED))
    await tab.loaded()
    const told = await tab.run(async () => {
      const called = new Promise((done) => analytics.track('Called back', {}, {}, done))
      const { event } = await analytics.track('Awaited', { a: 1 }, { timestamp: '2026-01-02T03:04:05.000Z', context: { ip: '0.0.0.0' }, integrations: { All: true } })
      analytics.page('Docs', 'Home', { extra: true })
      analytics.page('Alone')
      analytics.screen('Basket')
      analytics.group('g-1', { plan: 'pro' })
      analytics.identify('u-1', { a: 1 })
      analytics.identify({ b: 2 })
      analytics.alias('u-1')
      analytics.alias('u-3', 'u-2')
      const user = analytics.user()
      return { called: Boolean((await called).event), event, user: [user.id(), user.anonymousId(), user.traits()] }
    })
    await stage.arrived('alias', 2)
    const device = told.user[1]
    same([told.called, told.user[0], told.user[2]], [true, 'u-1', { a: 1, b: 2 }], 'the user')
    const [awaited] = await stage.arrived('Awaited')
    same([awaited.timestamp, awaited.context.ip, awaited.integrations, awaited.messageId], ['2026-01-02T03:04:05.000Z', '0.0.0.0', { All: true }, told.event.messageId], 'options')
    const [, docs, alone] = await stage.arrived('page', 3)
    same([docs.category, docs.name, docs.properties.category, docs.properties.name, docs.properties.extra], ['Docs', 'Home', 'Docs', 'Home', true], 'page')
    same([alone.category ?? null, alone.name], [null, 'Alone'], 'page by name')
    holds(docs.properties.url.startsWith(config.site) && docs.properties.title === 'a', 'properties of a page')
    same((await stage.arrived('screen'))[0].name, 'Basket', 'screen')
    const [group] = await stage.arrived('group')
    same([group.groupId, group.traits], ['g-1', { plan: 'pro' }], 'group')
    same((await stage.arrived('identify', 2))[1].traits, { a: 1, b: 2 }, 'traits add up')
    const [, second] = await stage.arrived('alias', 2)
    same([second.userId, second.previousId], ['u-3', 'u-2'], 'alias')
    await tab.run(() => { analytics.identify('u-9'); analytics.track('Other') })
    const [other] = await stage.arrived('Other')
    holds(other.userId === 'u-9' && other.anonymousId !== device, 'another user is another visitor')
    await tab.run(() => { analytics.reset(); analytics.track('Nobody') })
    const [nobody] = await stage.arrived('Nobody')
    holds(!nobody.userId && ![device, other.anonymousId].includes(nobody.anonymousId), 'after reset')
    holds(nobody.context.sessionId !== other.context.sessionId, 'a new session after reset')
    await tab.run(() => { analytics.setAnonymousId('mine'); analytics.track('Named') })
    same((await stage.arrived('Named'))[0].anonymousId, 'mine', 'setAnonymousId')
  },

  async 'batches stay within what a browser carries'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED))
    await tab.loaded()
    await tab.run(() => {
      for (let i = 0; i < 100; i++) analytics.track('Long', { i, text: 'ü'.repeat(1200) })
      analytics.track('Too long', { text: 'x'.repeat(32000) })
      const knot = {}
      knot.knot = knot
      analytics.track('Knotted', knot)
    })
    const events = await stage.arrived('Long', 100)
    same(new Set(events.map((event) => event.messageId)).size, 100, 'each once')
    for (const { bytes } of await stage.posted()) holds(bytes <= 64000, bytes + ' bytes in a batch')
    same((await stage.events('Too long')).length + (await stage.events('Knotted')).length, 0, 'what cannot be sent')
    same(withheld(tab), ['[odyssey] An event over 31 KB was dropped.'], 'console')
  },

  async 'offline it keeps, online it sends, once'(stage) {
    const tab = await stage.tab()
    const url = await stage.page('a', GRANTED)
    await tab.go(url)
    await tab.loaded()
    await stage.arrived('page')
    await tab.offline(true)
    const id = await tab.run(async () => (await analytics.track('Cut off')).event.messageId)
    await until('the shelf', async () => (await tab.stored()).odyssey_queue?.includes(id))
    same((await stage.events('Cut off')).length, 0, 'sent offline')
    await tab.offline(false)
    same((await stage.arrived('Cut off'))[0].messageId, id, 'message id')
    await emptied(tab)
    // The page goes while there is no network: the next one sends.
    await tab.offline(true)
    await tab.run(() => { analytics.track('Left behind') })
    await tab.run(() => { window.dispatchEvent(new PageTransitionEvent('pagehide')) })
    await until('the shelf', async () => (await tab.stored()).odyssey_queue?.includes('Left behind'))
    await tab.offline(false).catch(() => {})
    const next = await stage.tab()
    await next.go(url)
    await stage.arrived('Left behind')
  },

  async 'a Retry-After holds, on the next page as well'(stage) {
    await stage.answers({ status: 503, retry_after: '5' })
    const tab = await stage.tab()
    const url = await stage.page('a', GRANTED)
    const began = Date.now()
    await tab.go(url)
    await until('the refusal', async () => (await stage.posted()).length === 1)
    await tab.loaded()
    await tab.run(() => { analytics.track('Meanwhile') })
    const next = await stage.tab()
    await next.go(url)
    await wait(began + 4800 - Date.now())
    same((await stage.posted()).length, 1, 'requests within five seconds')
    await stage.arrived('Meanwhile')
    const [refused, ...accepted] = await stage.posted()
    same([refused.answered, refused.body.batch.length], [503, 1], 'the refused')
    const again = accepted.flatMap(({ body }) => body.batch).filter(({ messageId }) => messageId === refused.body.batch[0].messageId)
    // Both tabs find it on the shelf; taken at the same instant it would go twice, under one id.
    holds(again.length >= 1 && again.every(({ timestamp }) => timestamp === refused.body.batch[0].timestamp), 'the same message again')
  },

  async 'without a Retry-After it backs off'(stage) {
    await stage.answers({ status: 500 }, { status: 429 })
    const tab = await stage.tab()
    const began = Date.now()
    await tab.go(await stage.page('a', GRANTED))
    await until('the third', async () => (await stage.posted()).length === 3)
    // At least one and two seconds, at most the double.
    const took = Date.now() - began
    holds(took >= 2900 && took < 12000, took + ' ms')
    const ids = (await stage.posted()).map((post) => post.body.batch[0].messageId)
    same(new Set(ids).size, 1, 'one message id')
    await emptied(tab)
  },

  async 'a page that is gone before its answer loses nothing'(stage) {
    for (const [round, end] of ['closed', 'killed'].entries()) {
      await stage.answers({ status: 200, hangs: true })
      const tab = await stage.tab()
      const url = await stage.page('a' + round, GRANTED)
      await tab.go(url)
      await until('the request that hangs', async () => (await stage.posted()).filter((post) => !post.answered).length === round + 1)
      await tab.run((name) => { analytics.track(name) }, 'Behind it ' + round)
      await until('the shelf', async () => (await tab.stored()).odyssey_queue?.includes('Behind it'))
      if (end === 'closed') {
        await stage.devtools.send('Target.closeTarget', { targetId: tab.targetId })
      } else {
        await wait(500) // what a page stores is on its way to the browser for a moment
        tab.send('Page.crash').catch(() => {})
      }
      const next = await stage.tab()
      await next.go(url)
      const lost = (await stage.posted()).filter((post) => !post.answered)[round].body.batch.map(({ messageId }) => messageId)
      await stage.arrived('Behind it ' + round)
      const arrived = async () => (await stage.events()).filter(({ messageId }) => lost.includes(messageId))
      await until('what hung', async () => (await arrived()).length > 0)
      same((await arrived()).map(({ messageId }) => messageId), lost, 'once each')
      await emptied(next)
    }
  },

  async 'in an outage the next page hands nothing over unseen'(stage) {
    await stage.answers({ status: 503 }, { status: 503 })
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED))
    await until('the refusal', async () => (await stage.posted()).length === 1)
    await tab.go(await stage.page('b', { ...GRANTED, flushInterval: 60000 }))
    await tab.loaded()
    await tab.run(() => { analytics.track('During') })
    await tab.go(await stage.page('c', GRANTED))
    const accepted = async () => (await stage.posted()).filter(({ answered }) => answered === 200).flatMap(({ body }) => body.batch)
    await until('what was done during the outage', async () => (await accepted()).some(({ event }) => event === 'During'))
    same((await stage.posted()).filter(({ mode }) => mode === 'no-cors').length, 0, 'beacons')
    await until('the page that was refused', async () => (await accepted()).some(({ type }) => type === 'page'))
  },

  async 'what falls off the shelf is said'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED))
    await tab.loaded()
    await stage.arrived('page')
    await tab.offline(true)
    const held = () => tab.run(() => JSON.parse(localStorage.getItem('odyssey_queue') || '[]').length)
    for (const expected of [150, 200]) {
      await tab.run(() => {
        for (let i = 0; i < 150; i++) analytics.track('Held', { i })
        dispatchEvent(new PageTransitionEvent('pagehide'))
      })
      await until(expected + ' on the shelf', async () => (await held()) >= expected)
    }
    holds(withheld(tab).includes('[odyssey] Over 200 events are waiting; the oldest are dropped.'), 'console')
  },

  async 'what can never succeed is not repeated'(stage) {
    await stage.answers({ status: 401 })
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED))
    await until('the refusal', async () => (await stage.posted()).length === 1)
    await tab.run(() => { analytics.track('Next') })
    await stage.arrived('Next')
    same(await stage.events('page').then((pages) => pages.length), 1, 'pages')
    same(withheld(tab), ['[odyssey] Events were refused with status 401.'], 'console')
  },

  async 'a page that goes hands over what it has'(stage) {
    const tab = await stage.tab()
    const url = await stage.page('a', { ...GRANTED, flushInterval: 60000 }, '<form name="signup"><input name="first"><input name="mail"></form>')
    await tab.go(url)
    await tab.loaded()
    await tab.type('[name=first]', 'Secretive')
    await tab.type('[name=mail]', 'hidden@example.com')
    await tab.run(() => { analytics.track('Last words') })
    await tab.go('about:blank')
    await stage.arrived('Last words')
    const [left] = await stage.arrived('Page Left')
    const [abandoned] = await stage.arrived('Form Abandoned')
    same((await stage.posted()).map((post) => post.mode), ['no-cors'], 'one beacon')
    same([abandoned.properties.form, abandoned.properties.fields, abandoned.properties.path], ['signup', 2, left.properties.path], 'the form')
    holds(left.properties.session_id === left.context.sessionId && left.properties.scroll_depth === 100, 'the page')
    same(Object.keys(left.properties).sort(), ['dwell', 'path', 'scroll_depth', 'seconds', 'session_id', 'title', 'url'], 'what it says')
  },

  async 'a hidden page tells what it has, and the rest when it goes'(stage) {
    const tab = await stage.tab()
    const began = Date.now()
    await tab.go(await stage.page('a', GRANTED))
    await tab.loaded()
    await stage.arrived('page')
    await wait(1600)
    const uncover = await stage.cover(tab)
    const [first] = await stage.arrived('Page Left')
    holds(first.properties.seconds >= 1, 'seconds')
    same((await stage.posted()).map((post) => post.mode), ['cors', 'cors'], 'a hidden page awaits its answer')
    await wait(3000)
    await uncover()
    await wait(1600)
    await tab.go('about:blank')
    const [, second] = await stage.arrived('Page Left', 2)
    const seconds = first.properties.seconds + second.properties.seconds
    const visible = (Date.now() - began) / 1000 - 3
    holds(second.properties.seconds >= 1 && seconds <= visible, `${seconds} seconds of ${visible}`)
  },

  async 'pending: held in memory, then sent with the ids that consent allows'(stage) {
    const tab = await stage.tab()
    const url = await stage.page('a', {})
    await tab.go(url)
    await tab.loaded()
    const before = await tab.run(() => {
      analytics.track('Held')
      return [analytics.consent(), analytics.user().anonymousId()]
    })
    same(before, ['pending', null], 'before')
    await tab.send('Input.dispatchMouseEvent', { type: 'mouseMoved', x: 50, y: 50 })
    await stage.nothing()
    same(await tab.stored(), {}, 'localStorage')
    same(await tab.cookies(), [], 'cookies')
    same(withheld(tab), ['[odyssey] Events are held in memory: consent is pending. analytics.consent("granted") sends them.'], 'console')
    await tab.run(() => { analytics.consent('granted') })
    const [held] = await stage.arrived('Held')
    holds(UUID.test(held.anonymousId) && UUID.test(held.context.sessionId), 'ids')
    const stored = await tab.stored()
    same(Object.keys(stored).sort(), ['ajs_anonymous_id', 'odyssey_consent', 'odyssey_session'], 'localStorage')
    same(JSON.parse(stored.ajs_anonymous_id), held.anonymousId, 'the id')
    same(await tab.cookies(), [], 'cookies')
    // It is remembered, with who it was.
    const next = await stage.tab()
    await next.go(url)
    await next.loaded()
    await next.run(() => { analytics.track('Later') })
    const [later] = await stage.arrived('Later')
    same([later.anonymousId, later.context.sessionId], [held.anonymousId, held.context.sessionId], 'ids')
    // Withdrawn in one tab is withdrawn in all.
    await next.run(() => { analytics.consent('denied') })
    same(await next.stored(), {}, 'localStorage')
    await until('the other tab', () => tab.run(() => analytics.consent() === 'denied'))
    await tab.run(() => { analytics.track('Withdrawn') })
    await wait(500)
    same((await stage.events('Withdrawn')).length, 0, 'after the withdrawal')
  },

  async 'a page that always asks is believed over what is remembered'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED))
    const [first] = await stage.arrived('page')
    await tab.go(await stage.page('b', { consent: 'pending' }))
    await tab.loaded()
    await tab.run(() => { analytics.track('Asked') })
    await wait(500)
    same((await stage.events('Asked')).length, 0, 'while it asks')
    await tab.run(() => { analytics.consent('granted') })
    const [asked] = await stage.arrived('Asked')
    same([asked.anonymousId, asked.context.sessionId], [first.anonymousId, first.context.sessionId], 'the same visitor and session')
  },

  async 'denied: nothing leaves, nothing is kept'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', { consent: 'denied' }, '<form id="f"><input name="x"></form>'))
    await tab.loaded()
    await tab.type('[name=x]', 'Secretive')
    await tab.run(() => { analytics.identify('u-1', { email: 'hidden@example.com' }); analytics.track('Refused') })
    await tab.run(() => { window.dispatchEvent(new PageTransitionEvent('pagehide')) })
    await stage.nothing()
    same([await tab.stored(), await tab.cookies()], [{}, []], 'kept')
    same(withheld(tab), ['[odyssey] Events are withheld: consent is denied.'], 'console')
    await tab.run(() => { analytics.consent('granted'); analytics.track('Changed my mind') })
    await stage.arrived('Changed my mind')
    same((await stage.events('Refused')).length, 0, 'what was refused stays so')
  },

  async 'what was seen while denied stays unsaid'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', { consent: 'denied' }, '<form id="f"><input name="x"></form><p data-product-id="tent-2">t</p>'))
    await tab.loaded()
    await tab.type('[name=x]', 'Secretive')
    await tab.point('[data-product-id]')
    await wait(3300)
    await tab.run(() => { analytics.consent('granted') })
    await tab.go('about:blank')
    const [{ properties }] = await stage.arrived('Page Left')
    holds(properties.seconds <= 1 && !properties.dwell.some(({ seconds }) => seconds > 1), JSON.stringify(properties))
    same((await stage.events('Form Abandoned')).length, 0, 'the form')
  },

  async 'a withdrawal reaches a page that comes back'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED))
    await stage.arrived('page')
    // Out of the browser's cache, without an event of what happened to storage meanwhile.
    const back = () => {
      window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))
      return analytics.consent()
    }
    same(await tab.run(back), 'granted', 'while nobody withdrew')
    await tab.run(() => localStorage.clear())
    same(await tab.run(back), 'denied', 'after the withdrawal')
    await tab.run(() => { analytics.track('Withdrawn') })
    await wait(500)
    same([(await stage.events('Withdrawn')).length, await tab.stored()], [0, {}], 'what is sent and kept')
  },

  async 'logging out counts before consent, too'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED))
    await tab.loaded()
    await tab.run(() => { analytics.identify('u-1') })
    const [{ anonymousId }] = await stage.arrived('identify')
    await tab.go(await stage.page('b', { consent: 'pending' }))
    await tab.loaded()
    await tab.run(() => { analytics.reset(); analytics.consent('granted'); analytics.track('After') })
    const [after] = await stage.arrived('After')
    holds(!('userId' in after) && after.anonymousId !== anonymousId, 'somebody else')
  },

  async 'a pause of a clock that was wrong is not believed'(stage) {
    const tab = await stage.tab('for (const name of ["pause", "backoff"]) localStorage["odyssey_" + name] = Date.now() + 40 * 864e5')
    await tab.go(await stage.page('a', GRANTED))
    await stage.arrived('page')
  },

  async 'what is more than a beacon carries goes with the next page'(stage) {
    const tab = await stage.tab()
    const patient = { ...GRANTED, flushInterval: 60000, flushAt: 200 }
    await tab.go(await stage.page('a', patient))
    await tab.loaded()
    await tab.run(() => { for (let i = 0; i < 12; i++) analytics.track('Large', { i, text: 'x'.repeat(10000) }) })
    await tab.go(await stage.page('b', GRANTED))
    await until('all', async () => new Set((await stage.events('Large')).map(({ messageId }) => messageId)).size === 12)
    const posted = await stage.posted()
    holds(posted.some(({ mode }) => mode === 'no-cors'), 'a beacon')
    holds(posted.every(({ bytes }) => bytes <= 65536), 'bytes ' + posted.map(({ bytes }) => bytes))
  },

  async 'Global Privacy Control outweighs the page'(stage) {
    const tab = await stage.tab(GPC)
    await tab.go(await stage.page('a', GRANTED))
    await tab.loaded()
    const state = await tab.run(() => { analytics.consent('granted'); analytics.track('Refused'); return analytics.consent() })
    same(state, 'denied', 'state')
    await stage.nothing()
    same([await tab.stored(), await tab.cookies()], [{}, []], 'kept')
    same(withheld(tab), ['[odyssey] Events are withheld: this browser sends Global Privacy Control.'], 'console')
    // Unless the page takes it upon itself.
    await tab.go(await stage.page('b', { ...GRANTED, honourGpc: false }))
    await stage.arrived('page')
    same((await stage.posted())[0].body.context.gpc, true, 'and says so')
  },

  async 'cookies are set where a domain is named, after consent, and subdomains share them'(stage) {
    const port = new URL(config.site).port
    const at = async (host, options) => (await stage.page(host, { cookieDomain: 'shop.test', ...options })).replace(/127\.0\.0\.1:\d+/, `${host}.shop.test:${port}`)
    const tab = await stage.tab()
    await tab.go(await at('www', {}))
    await tab.loaded()
    same(await tab.run(() => window.isSecureContext), false, 'a secure context')
    await tab.run(() => { analytics.identify('ü-1') })
    await wait(300)
    same(await tab.cookies(), [], 'before consent')
    await tab.run(() => { analytics.consent('granted') })
    const [{ anonymousId }] = await stage.arrived('identify')
    same(await tab.cookies(), ['ajs_anonymous_id', 'ajs_user_id'], 'after')
    await tab.go(await at('pay', GRANTED))
    await tab.loaded()
    await tab.run(() => { analytics.track('Over there') })
    const [there] = await stage.arrived('Over there')
    same([there.anonymousId, there.userId], [anonymousId, 'ü-1'], 'ids')
    await tab.run(() => { analytics.reset() })
    same(await tab.cookies(), ['ajs_anonymous_id'], 'after reset')
    await tab.run(() => { analytics.consent('denied') })
    same(await tab.cookies(), [], 'withdrawn')
  },

  async 'visitors of a Segment SDK keep their ids'(stage) {
    const tab = await stage.tab(`localStorage.ajs_anonymous_id = '"device-7"'; localStorage.ajs_user_id = '"u-7"'`)
    await tab.go(await stage.page('a', GRANTED))
    const [page] = await stage.arrived('page')
    same([page.anonymousId, page.userId], ['device-7', 'u-7'], 'ids')
  },

  async 'a browser that refuses storage is served from memory'(stage) {
    await stage.answers({ status: 503, retry_after: '4' })
    const tab = await stage.tab("Object.defineProperty(window, 'localStorage', { get() { throw new Error('refused') } })")
    await tab.go(await stage.page('a', GRANTED))
    const [first] = await stage.arrived('page')
    const refused = Date.now()
    const [, second] = await stage.arrived('page', 2)
    same(first.messageId, second.messageId, 'the retry')
    holds(Date.now() - refused > 3500, 'Retry-After, longer than a first failure waits')
    const comesBack = () => { window.dispatchEvent(new PageTransitionEvent('pageshow')); return analytics.consent() }
    same(await tab.run(comesBack), 'granted', 'consent that could not be stored was not withdrawn')
    same(tab.console.filter((line) => line.startsWith('EXCEPTION')), [], 'console')
  },

  async 'dwell and scroll are added up'(stage) {
    const body = `<style>body { margin: 0 } section, article { height: 80px } footer { height: 3000px }</style>
      <section data-category="tents"><article data-product-id="tent-2">a</article></section>
      <section id="bags" data-category="bags">b</section>
      <section data-product-id="secret" data-odyssey-ignore>c</section><footer></footer>`
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED, body))
    await tab.loaded()
    await tab.point('article')
    await wait(2500)
    await tab.point('#bags')
    await wait(1300)
    await tab.point('article')
    await wait(1300)
    const depth = await tab.run(() => {
      scrollTo(0, 1000)
      return Math.round(((1000 + innerHeight) / document.documentElement.scrollHeight) * 100)
    })
    await wait(200)
    await tab.run(() => scrollTo(0, 0))
    await tab.point('[data-odyssey-ignore]')
    await wait(1100)
    await tab.go('about:blank')
    const [{ properties }] = await stage.arrived('Page Left')
    same(properties.scroll_depth, depth, 'the deepest')
    holds(properties.dwell.length === 2, JSON.stringify(properties))
    const [tent, bags, ...rest] = properties.dwell
    same([tent.product_id, tent.category, tent.hovers], ['tent-2', 'tents', 2], 'the tent')
    same([bags.product_id ?? null, bags.category, bags.hovers], [null, 'bags', 1], 'the bags')
    holds(tent.seconds >= 3 && tent.seconds <= 5 && bags.seconds >= 1 && bags.seconds <= 2, JSON.stringify(properties.dwell))
    same(rest, [], 'what is ignored')
    holds(properties.seconds >= 5 && Number.isInteger(properties.seconds), 'seconds')
  },

  async 'without a mouse the middle of the screen counts'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED, '<body data-product-id="mug-3" data-category="cooking" style="height: 90vh">'))
    await tab.loaded()
    await wait(2400)
    await tab.go('about:blank')
    const [{ properties }] = await stage.arrived('Page Left')
    holds(properties.dwell.length === 1 && properties.dwell[0].product_id === 'mug-3' && properties.dwell[0].seconds >= 1, JSON.stringify(properties.dwell))
  },

  async 'forms are told by name, never what is in them'(stage) {
    const body = `<form id="search"><input name="q"></form>
      <form name="login" data-odyssey-form="Sign in" onsubmit="return false"><input name="user"><input name="word" type="password"><button>go</button></form>
      <form name="quiet" data-odyssey-ignore onsubmit="return false"><input name="card"></form>
      <form id="ship" onsubmit="return false"><input type="radio" name="way" value="a"><input type="radio" name="way" value="b"><textarea name="note"></textarea><input name="id"></form>`
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED, body))
    await tab.loaded()
    await tab.type('[name=user]', 'SecretName')
    await tab.type('[name=word]', 'SecretWord')
    await tab.click('[data-odyssey-form] button')
    await tab.type('[name=card]', 'SecretCard')
    await tab.click('[value=a]')
    await tab.click('[value=b]')
    await tab.type('[name=note]', 'SecretNote')
    await tab.go('about:blank')
    const [abandoned] = await stage.arrived('Form Abandoned')
    same([abandoned.properties.form, abandoned.properties.fields], ['ship', 2], 'abandoned')
    holds(Number.isInteger(abandoned.properties.seconds), 'seconds')
    const names = async (event) => (await stage.events(event)).map(({ properties }) => properties.form)
    same([await names('Form Started'), await names('Form Submitted')], [['Sign in', 'ship'], ['Sign in']], 'forms')
    const everything = JSON.stringify(await stage.posted())
    holds(!everything.includes('Secret'), 'no content of a field')
  },

  async 'a session ends after half an hour without activity'(stage) {
    const clock = 'const real = Date.now; window.ahead = 0; Date.now = () => real() + window.ahead'
    const tab = await stage.tab(clock)
    await tab.go(await stage.page('a', GRANTED, '<p>read</p>'))
    await tab.loaded()
    const [first] = await stage.arrived('page')
    await wait(1200)
    await tab.run(() => { window.ahead = 20 * 60000; analytics.track('Within') })
    const [within] = await stage.arrived('Within')
    same(within.context.sessionId, first.context.sessionId, 'after 20 minutes')
    await tab.run(() => { window.ahead = 55 * 60000 })
    await tab.point('p')
    const [left] = await stage.arrived('Page Left')
    same([left.context.sessionId, left.properties.session_id], [first.context.sessionId, first.context.sessionId], 'what was of the old one')
    await tab.run(() => { analytics.track('Back') })
    const [back] = await stage.arrived('Back')
    holds(back.context.sessionId !== first.context.sessionId, 'a new session')
    // A page opened long after: the same visitor, another session.
    const next = await stage.tab(clock.replace('ahead = 0', 'ahead = 90 * 60000'))
    await next.go(await stage.page('b', GRANTED))
    const [, page] = await stage.arrived('page', 2)
    same(page.anonymousId, first.anonymousId, 'visitor')
    holds(page.context.sessionId !== back.context.sessionId, 'another session')
  },

  async 'a page within a page is left when the next is called'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED, '<form id="f"><input name="x"></form>'))
    await tab.loaded()
    await tab.type('[name=x]', 'y')
    await tab.run(() => { history.pushState({}, '', '/second'); document.title = 'Second'; analytics.page() })
    const [left] = await stage.arrived('Page Left')
    const [abandoned] = await stage.arrived('Form Abandoned')
    for (const { properties, context } of [left, abandoned]) {
      holds(properties.path.endsWith('-a') && context.page.path.endsWith('-a'), 'the page that was left')
    }
    const [, second] = await stage.arrived('page', 2)
    same([second.properties.path, second.properties.title], ['/second', 'Second'], 'the next')
    await tab.run(() => { analytics.page() })
    await stage.arrived('page', 3)
    same((await stage.events('Page Left')).length, 1, 'the same page again is not left')
  },

  async 'one tag is enough, pinned and under a strict policy'(stage) {
    const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ${config.site}; connect-src ${config.api}">`
    const script = await (await fetch('/odyssey.js')).arrayBuffer()
    const hash = btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-384', script))))
    const tag = `<script async src="/odyssey.js" integrity="sha384-${hash}" crossorigin="anonymous" data-write-key="${stage.key}" data-host="${config.api}" data-consent="granted" data-flush-interval="100"></script>`
    const tab = await stage.tab()
    await tab.go(await stage.html('a', policy + tag))
    const [page] = await stage.arrived('page')
    holds(page.properties.path.endsWith('-a'), 'a page view without a call')
    await tab.go('about:blank')
    await stage.arrived('Page Left')
  },

  async 'the page may change or refuse an event'(stage) {
    const before = `window.hook = (event) => {
      if (event.event === 'Never') return null
      if (event.event === 'Broken') throw new Error('of the page')
      event.context.page.url = 'https://shop.example/'
      return event
    }`
    const tab = await stage.tab(before)
    const url = await stage.page('a', GRANTED)
    await tab.go(url)
    await tab.loaded()
    await stage.arrived('page')
    await tab.go(await stage.html('b', `<script src="/odyssey.js"></script><script>
      analytics.load(${JSON.stringify(stage.key)}, { host: ${JSON.stringify(config.api)}, consent: 'granted', flushInterval: 100, before: window.hook });
      analytics.track('Never'); analytics.track('Broken'); analytics.track('Always');
    </script>`))
    const [always] = await stage.arrived('Always')
    same(always.context.page.url, 'https://shop.example/', 'url')
    same((await stage.events('Never')).length + (await stage.events('Broken')).length, 0, 'refused')
  },

  async 'a page prepared in advance and not yet seen sends nothing'(stage) {
    const tab = await stage.tab("window.unseen = true; Object.defineProperty(document, 'prerendering', { get: () => window.unseen })")
    await tab.go(await stage.page('a', GRANTED))
    await tab.loaded()
    await stage.nothing()
    await tab.run(() => { window.unseen = false })
    await stage.arrived('page')
  },

  async 'a page that comes back goes on'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED))
    await tab.loaded()
    const [page] = await stage.arrived('page')
    await tab.go(await stage.html('b', '<title>b</title>'))
    await stage.arrived('Page Left')
    await tab.run(() => history.back())
    await until('the page', () => tab.run(() => document.title === 'a').catch(() => false))
    await tab.loaded()
    await tab.run(() => { analytics.track('Back again') })
    const [back] = await stage.arrived('Back again')
    same([back.anonymousId, back.context.sessionId], [page.anonymousId, page.context.sessionId], 'ids')
  },

  async 'two hundred events wait, the oldest go'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', {}))
    await tab.loaded()
    await tab.run(() => {
      for (let i = 0; i < 250; i++) analytics.track('Held', { i })
      analytics.consent('granted')
    })
    const events = await stage.arrived('Held', 200)
    same(events[0].properties.i, 50, 'the first that is left')
    holds(withheld(tab).includes('[odyssey] Over 200 events are waiting; the oldest are dropped.'), 'console')
  },

  async 'included twice it counts once'(stage) {
    const tab = await stage.tab()
    await tab.go(await stage.page('a', GRANTED, '<script src="/odyssey.js"></script><script src="/odyssey.js"></script>'))
    await tab.loaded()
    await tab.run(() => { analytics.track('Once') })
    await stage.arrived('Once')
    await stage.arrived('page')
  },
}
