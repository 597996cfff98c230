//! What parsing is measured on: the request that `ingest` sees most, a batch of 20 events of 1.15 KB
//! each, of 20 customers.

/// Events of a request.
const EVENTS: usize = 20;

/// An event of 1.15 KB as `@segment/analytics-node` sends it.
fn event(n: usize) -> String {
    format!(
        r#"{{"timestamp":"2026-11-21T19:24:{:02}.839Z","integrations":{{}},"event":"Product Added","type":"track","properties":{{"cart_id":"skdjsidjsdkdj29{n:03}","product_id":"507f1f77bcf86cd7994{n:05}","sku":"G-{n}","category":"Games","name":"Monopoly: 3rd Edition","brand":"Hasbro","variant":"200 pieces","price":18.99,"quantity":1,"coupon":"MAYDEALS","position":3,"url":"https://www.example.com/product/path/{n}","image_url":"https://www.example.com/product/path/{n}.jpg","currency":"EUR","on_sale":true,"tags":["board","family","classic"]}},"context":{{"library":{{"name":"@segment/analytics-node","version":"3.1.0"}},"ip":"203.0.113.{n}","locale":"en-GB","timezone":"Europe/London","userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36","page":{{"path":"/product/path/{n}","referrer":"https://www.example.com/","search":"","title":"Monopoly","url":"https://www.example.com/product/path/{n}"}}}},"userId":"user-{n:04}","anonymousId":"0a2863c3-a2d8-4fef-b129-12fadb56{n:04}","messageId":"node-next-1795289075838-33bd060a-2863-43a2-989f-efb129{n:06}","_metadata":{{"nodeVersion":"v20.20.2","jsRuntime":"node"}}}}"#,
        n % 60
    )
}

/// The body of the request.
pub(crate) fn body() -> String {
    let events: Vec<String> = (0..EVENTS).map(event).collect();
    format!(
        r#"{{"batch":[{}],"writeKey":"shop.abcdefghijklmnopqrstuvwxyz","sentAt":"2026-11-21T19:25:00.843Z"}}"#,
        events.join(",")
    )
}
