// A visit to a page that posts to a real stack on another origin.
'use strict'

const scenarios = {
  async 'a visit'(stage) {
    const tab = await stage.tab()
    const body = `<main data-product-id="mug-3" data-category="cooking" style="height: 300px">mug</main>
      <form name="signup" onsubmit="return false"><input name="mail"><button>go</button></form>`
    await tab.go(await stage.page('a', { consent: 'granted', flushInterval: 300 }, body))
    await tab.loaded()
    await tab.point('main')
    await tab.run(() => { analytics.track('Product Viewed', { product_id: 'mug-3', price: 14.5, currency: 'EUR' }) })
    await tab.type('[name=mail]', 'snippet-1@example.com')
    await tab.click('form button')
    await tab.run(() => { analytics.identify('snippet-1', { email: 'snippet-1@example.com' }) })
    await tab.run(() => { analytics.track('Product Added', { product_id: 'mug-3', price: 14.5, currency: 'EUR', quantity: 1 }) })
    await tab.point('main')
    await wait(2200)
    await tab.go('about:blank')
    // A beacon has no answer to wait for.
    await wait(1500)
  },
}
