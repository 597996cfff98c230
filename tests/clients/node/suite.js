// The Segment SDK for Node as a property would use it: one call of each kind, or a few that must survive a lost answer.
// Prints one line of JSON: the message id of every event, by call.
//
// ODYSSEY_URL, ODYSSEY_WRITE_KEY, ODYSSEY_USER (a user id of this run), ODYSSEY_SCENARIO (`calls` or `retry`)

const { Analytics } = require('@segment/analytics-node')

const { ODYSSEY_URL, ODYSSEY_WRITE_KEY, ODYSSEY_USER: userId, ODYSSEY_SCENARIO } = process.env
const anonymousId = `${userId}-device`

const analytics = new Analytics({ writeKey: ODYSSEY_WRITE_KEY, host: ODYSSEY_URL, path: '/v1/batch', maxRetries: 5 })
const failures = []
analytics.on('error', (error) => failures.push(String(error.reason ?? error.code)))

const sent = {}
const call = (name, params) =>
  new Promise((resolve, reject) =>
    analytics[name](params, (error, context) => {
      if (error) return reject(error)
      sent[name] = context.event.messageId
      resolve()
    })
  )

const scenarios = {
  calls: () => [
    call('identify', { userId, anonymousId, traits: { email: `${userId}@example.com`, firstName: 'Ünal' } }),
    call('track', { userId, event: 'Product Added', properties: { product_id: 'mug-01', price: 14.5, currency: 'EUR', quantity: 2 } }),
    call('page', { userId, name: 'Home', category: 'Docs', properties: { path: '/' } }),
    call('screen', { userId, name: 'Basket' }),
    call('group', { userId, groupId: 'g-1', traits: { plan: 'pro' } }),
    call('alias', { userId, previousId: anonymousId }),
  ],
  retry: () => [call('track', { userId, event: 'Order Completed', properties: { order_id: 'o-1', revenue: 29, currency: 'EUR' } })],
}

const main = async () => {
  const calls = scenarios[ODYSSEY_SCENARIO]()
  await analytics.closeAndFlush()
  await Promise.all(calls)
  if (failures.length > 0) throw new Error(failures.join('; '))
  console.log(JSON.stringify(sent))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
