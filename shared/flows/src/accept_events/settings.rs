//! What browser SDKs ask for before they post: their source's settings.
//!
//! `@segment/analytics-next` reads `integrations["Segment.io"]` and posts to its `apiHost`; without
//! one it would post to Segment. `RudderStack`'s SDKs want a source with an id, a config and a list
//! of destinations. Neither is told of a destination: there is none in the browser.

use super::{ApiRequest, write_key};
use odyssey_domain::catalog::SourceName;
use odyssey_domain::wire::SourceKind;
use serde_json::json;

/// How the caller reached us, which is how its SDK must go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    protocol: &'static str,
    host: String,
}

impl Origin {
    /// From `X-Forwarded-Proto` and `Host`; `None` where there is no host that can be one. Without
    /// the former, only this machine is spoken to in plain HTTP.
    pub(super) fn of(request: &ApiRequest) -> Option<Origin> {
        let host = request.host.as_deref()?.trim();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if host.is_empty() || host.len() > 255 || !host.bytes().all(allowed) {
            return None;
        }
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let loopback = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
        let protocol = match request.forwarded_proto.as_deref() {
            Some("http") => "http",
            None if loopback => "http",
            _ => "https",
        };
        Some(Origin { protocol, host: host.to_owned() })
    }
}

/// The answer to `GET /v1/projects/{writeKey}/settings`.
pub(super) fn segment(key: &str, origin: &Origin, kind: SourceKind) -> String {
    json!({
        "integrations": {
            "Segment.io": {
                "apiKey": key,
                "apiHost": format!("{}/v1", origin.host),
                "protocol": origin.protocol,
                "retryQueue": true,
                "addBundledMetadata": true,
                "unbundledIntegrations": [],
                "bundledConfigIds": [],
                "unbundledConfigIds": [],
                "maybeBundledConfigIds": {},
                "type": "browser",
                "bundlingStatus": "bundled",
                "versionSettings": {
                    "version": "4.4.7",
                    "componentTypes": [write_key::component(kind)],
                },
            },
        },
        "middlewareSettings": {"routingRules": []},
        "enabledMiddleware": {},
        "remotePlugins": [],
        "edgeFunction": {},
        "analyticsNextEnabled": true,
        "legacyVideoPluginsEnabled": false,
        // Anything above zero would have the SDK report its own metrics to Segment.
        "metrics": {"sampleRate": 0},
    })
    .to_string()
}

/// The answer to `GET /sourceConfig/`.
pub(super) fn rudder(key: &str, source: &SourceName) -> String {
    let name = source.as_str();
    let epoch = "1970-01-01T00:00:00.000Z";
    json!({
        "isHosted": false,
        "consentManagementMetadata": {"providers": []},
        "source": {
            "id": name,
            "name": name,
            "writeKey": key,
            "enabled": true,
            "deleted": false,
            "transient": false,
            "workspaceId": "odyssey",
            "sourceDefinitionId": "odyssey",
            "sourceDefinition": {"id": "odyssey", "name": "Odyssey", "displayName": "Odyssey"},
            "config": {
                // Errors and metrics of the SDK itself would go to RudderStack.
                "statsCollection": {"errors": {"enabled": false}, "metrics": {"enabled": false}},
            },
            "liveEventsConfig": {"eventUpload": false, "eventUploadTS": 0},
            "secretVersion": null,
            "createdAt": epoch,
            "updatedAt": epoch,
            "createdBy": "odyssey",
            "connections": [],
            "destinations": [],
        },
        "updatedAt": epoch,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_how_we_were_reached() {
        let of = |host: &str, proto: Option<&str>| {
            Origin::of(&ApiRequest {
                host: Some(host.to_owned()),
                forwarded_proto: proto.map(str::to_owned),
                ..ApiRequest::default()
            })
        };
        let origin = |protocol, host: &str| Some(Origin { protocol, host: host.to_owned() });
        assert_eq!(of("t.example.com", None), origin("https", "t.example.com"));
        assert_eq!(of("localhost:9000", None), origin("http", "localhost:9000"));
        assert_eq!(of("127.0.0.1:9000", None), origin("http", "127.0.0.1:9000"));
        assert_eq!(of("t.example.com", Some("http")), origin("http", "t.example.com"));
        assert_eq!(of("localhost:9000", Some("https")), origin("https", "localhost:9000"));
        for host in ["", "a b", "a/b", "a\"b", "<a>", "a@b"] {
            assert_eq!(of(host, None), None, "{host}");
        }
        assert_eq!(Origin::of(&ApiRequest::default()), None);
    }
}
