// Drives tabs of the browser that this very page is open in, over Chromium's DevTools protocol: real windows, real mice, a network
// that is really cut off. Runs the scenarios and reports what failed.
'use strict'

const wait = (ms) => new Promise((done) => setTimeout(done, ms))

const until = async (what, look, seconds = 20) => {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error('never: ' + what)
    await wait(50)
  }
}

const same = (found, expected, what) => {
  const sorted = (value) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]))
      : Array.isArray(value) ? value.map(sorted) : value
  const [left, right] = [sorted(found), sorted(expected)].map((value) => JSON.stringify(value))
  if (left !== right) throw new Error(`${what}: found ${left}, expected ${right}`)
}

const holds = (condition, what) => {
  if (!condition) throw new Error('not so: ' + what)
}

const connect = async () => {
  const said = await until('DevTools', async () => (await (await fetch('/_test/devtools')).text()).trim())
  const [port, path] = said.split('\n')
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`)
  const [waiting, listeners] = [new Map(), []]
  let last = 0
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data)
    if (!message.id) return listeners.forEach((listen) => listen(message))
    const [done, failed] = waiting.get(message.id)
    message.error ? failed(new Error(message.error.message)) : done(message.result)
  }
  await new Promise((done, failed) => { socket.onopen = done; socket.onerror = () => failed(new Error('DevTools refuse')) })
  const send = (method, params = {}, sessionId) =>
    new Promise((done, failed) => {
      const id = ++last
      waiting.set(id, [done, failed])
      socket.send(JSON.stringify({ id, method, params, sessionId }))
    })
  return { send, listen: (listen) => listeners.push(listen) }
}

class Tab {
  // `before`: scripts that run in each page before its own.
  static async open({ send, listen }, browserContextId, before = []) {
    const { targetId } = await send('Target.createTarget', { url: 'about:blank', browserContextId, newWindow: true })
    const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
    const tab = new Tab()
    tab.send = (method, params) => send(method, params, sessionId)
    tab.targetId = targetId
    tab.console = []
    tab.loads = 0
    listen((message) => {
      if (message.sessionId !== sessionId) return
      if (message.method === 'Page.loadEventFired') tab.loads++
      if (message.method === 'Runtime.consoleAPICalled') tab.console.push(message.params.args.map((part) => part.value).join(' '))
      if (message.method === 'Runtime.exceptionThrown') tab.console.push('EXCEPTION ' + JSON.stringify(message.params.exceptionDetails))
    })
    for (const domain of ['Page', 'Runtime', 'Network']) await tab.send(domain + '.enable')
    // Whatever network the machine has.
    await tab.before("Object.defineProperty(navigator, 'onLine', { get: () => !window.__offline })")
    for (const script of before) await tab.before(script)
    return tab
  }

  before(source) {
    return this.send('Page.addScriptToEvaluateOnNewDocument', { source })
  }

  async go(url) {
    const loads = this.loads
    const { errorText } = await this.send('Page.navigate', { url })
    if (errorText) throw new Error(`${url}: ${errorText}`)
    await until('the page ' + url, () => this.loads > loads)
  }

  async run(act, ...values) {
    const expression = `(${act})(...${JSON.stringify(values)})`
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails))
    return result.value
  }

  // Whether the snippet itself, not its stub, answers.
  loaded() {
    return until('the snippet', () => this.run(() => window.analytics && window.analytics.initialized === true))
  }

  async point(selector) {
    const [x, y] = await this.run((selector) => {
      const { left, top, width, height } = document.querySelector(selector).getBoundingClientRect()
      return [left + width / 2, top + height / 2]
    }, selector)
    await this.send('Input.dispatchMouseEvent', { type: 'mouseMoved', x, y })
    return { x, y }
  }

  async click(selector) {
    const at = await this.point(selector)
    for (const type of ['mousePressed', 'mouseReleased']) {
      await this.send('Input.dispatchMouseEvent', { type, ...at, button: 'left', clickCount: 1 })
    }
  }

  async type(selector, text) {
    await this.run((selector) => document.querySelector(selector).focus(), selector)
    await this.send('Input.insertText', { text })
  }

  async offline(offline) {
    await this.send('Network.emulateNetworkConditions', { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 })
    await this.run((offline) => { window.__offline = offline }, offline)
    // Chromium says so itself where its own `onLine` changes; once more does no harm.
    await this.run((type) => { window.dispatchEvent(new Event(type)) }, offline ? 'offline' : 'online')
  }

  stored() {
    return this.run(() => Object.fromEntries(Object.entries(localStorage)))
  }

  async cookies() {
    return (await this.send('Network.getCookies')).cookies.map(({ name }) => name).sort()
  }
}

// What a scenario works with.
class Stage {
  constructor(devtools, context, key) {
    Object.assign(this, { devtools, context, key })
  }

  tab(...before) {
    return Tab.open(this.devtools, this.context, before)
  }

  // Opens another tab in front of this one, which is then hidden; returns what closes it again.
  async cover(tab) {
    const { send } = this.devtools
    const { targetId } = await send('Target.createTarget', { url: 'about:blank', browserContextId: this.context })
    await send('Target.activateTarget', { targetId })
    await until('a hidden page', () => tab.run(() => document.visibilityState === 'hidden'))
    return async () => {
      await send('Target.closeTarget', { targetId })
      await until('a visible page', () => tab.run(() => document.visibilityState === 'visible'))
    }
  }

  // A page of this scenario's with the snippet as the README embeds it; returns its address.
  async page(name, options, body = '') {
    const given = { host: config.api, flushInterval: 100, ...options }
    const embed = config.embed.replace('YOUR_WRITE_KEY', this.key).replace('OPTIONS', () => JSON.stringify(given))
    return this.html(name, `<title>${name}</title>${embed}${body}`)
  }

  async html(name, html) {
    const path = `${this.key}-${name}`
    await fetch('/_test/page/' + path, { method: 'POST', body: '<!doctype html><meta charset="utf-8">' + html })
    return `${config.site}/${path}`
  }

  async answers(...answers) {
    const headers = { 'content-type': 'application/json' }
    await fetch('/_test/answers/' + this.key, { method: 'POST', headers, body: JSON.stringify(answers) })
  }

  async posted() {
    return (await fetch('/_test/posted?key=' + this.key)).json()
  }

  // The events of all requests but those that hang, with those a retry repeats.
  async events(name) {
    const answered = (await this.posted()).filter((post) => post.answered)
    const events = answered.flatMap(({ body }) => body.batch)
    return name ? events.filter((event) => event.event === name || event.type === name) : events
  }

  async arrived(name, count = 1) {
    let found = []
    await until(`${count} × ${name}`, async () => (found = await this.events(name)).length >= count)
    holds(found.length === count, `${count} × ${name}, found ${found.length}`)
    return found
  }

  // Waits in vain.
  async nothing(ms = 700) {
    await wait(ms)
    same((await this.posted()).length, 0, 'requests')
  }
}

const main = async () => {
  const devtools = await connect()
  const failures = {}
  const waiting = Object.keys(scenarios).filter((name) => config.only.length === 0 || config.only.includes(name))
  const names = [...waiting]
  const worker = async () => {
    for (let name; (name = waiting.shift()); ) {
      const { browserContextId } = await devtools.send('Target.createBrowserContext')
      const stage = new Stage(devtools, browserContextId, config.writeKey || name.replace(/\W+/g, '-'))
      try {
        await scenarios[name](stage)
      } catch (error) {
        failures[name] = String(error.stack || error)
      }
      await devtools.send('Target.disposeBrowserContext', { browserContextId })
    }
  }
  await Promise.all([worker(), worker(), worker(), worker()])
  return { names, failures, preflights: await (await fetch('/_test/preflights')).json() }
}

main()
  .catch((error) => ({ names: [], failures: { driver: String(error.stack || error) } }))
  .then((report) => fetch('/_test/report', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(report) }))
