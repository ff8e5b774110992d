//! How the provider describes itself (OpenID Connect Discovery 1.0). What it says is believed only of the issuer that was configured.

use serde::Deserialize;
use url::Url;

use super::settings::Issuer;

/// How we prove to the provider that it is us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuthentication {
    /// Name and secret as with a password, in a header.
    Basic,
    /// Both in the form.
    Post,
}

/// What is used of the description, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// Where the browser is sent.
    pub(super) authorization: Url,
    /// Where a code becomes a token.
    pub(super) token: Url,
    /// Where the keys are.
    pub(super) keys: Url,
    pub(super) authentication: ClientAuthentication,
    /// Whether every answer names the issuer (RFC 9207).
    pub(super) names_issuer: bool,
}

/// As it is sent.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Reads a description; the error is for the log.
    pub(super) fn parse(body: &[u8], issuer: &Issuer) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(body)
            .map_err(|error| format!("its description of itself cannot be read: {error}"))?;
        if document.issuer != issuer.as_str() {
            return Err(
                "it calls itself by another address than SENTINEL_ADMIN_OIDC_ISSUER; they must be equal letter by letter"
                    .to_owned(),
            );
        }
        let endpoint = |name: &str, text: &str| {
            let wrong = || format!("its {name} is no https address");
            issuer.endpoint(text).ok_or_else(wrong)
        };
        let methods = document.token_endpoint_auth_methods_supported;
        let takes = |method: &str| {
            methods
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|taken| taken == method))
        };
        let authentication = if takes("client_secret_basic") {
            ClientAuthentication::Basic
        } else if takes("client_secret_post") {
            ClientAuthentication::Post
        } else {
            return Err("it takes no client secret, neither as a header nor in a form".to_owned());
        };
        Ok(Self {
            authorization: endpoint("authorization_endpoint", &document.authorization_endpoint)?,
            token: endpoint("token_endpoint", &document.token_endpoint)?,
            keys: endpoint("jwks_uri", &document.jwks_uri)?,
            authentication,
            names_issuer: document.authorization_response_iss_parameter_supported,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(change: Value) -> Result<Metadata, String> {
        let mut document = json!({
            "issuer": "https://id.example", "authorization_endpoint": "https://id.example/authorize?tenant=1",
            "token_endpoint": "https://id.example/token", "jwks_uri": "https://keys.example/keys",
        });
        let Value::Object(change) = change else {
            panic!("an object");
        };
        document.as_object_mut().expect("an object").extend(change);
        let issuer = Issuer::parse("https://id.example").expect("an issuer");
        Metadata::parse(document.to_string().as_bytes(), &issuer)
    }

    #[test]
    fn a_description_is_taken_from_the_configured_issuer_only() {
        let metadata = parsed(json!({})).expect("good");
        assert_eq!(metadata.authentication, ClientAuthentication::Basic);
        assert!(!metadata.names_issuer);
        for issuer in [
            "https://id.example/",
            "https://ID.example",
            "https://evil.example",
            "",
        ] {
            assert!(parsed(json!({"issuer": issuer})).is_err(), "{issuer}");
        }
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            for address in ["http://id.example/x", "javascript:alert(1)", "/x", ""] {
                let wrong = parsed(json!({ name: address })).expect_err("refused");
                assert!(wrong.contains(name), "{wrong}");
            }
        }
        let issuer = Issuer::parse("https://id.example").expect("an issuer");
        for body in ["", "[]", "{}", "{\"issuer\": \"https://id.example\""] {
            assert!(Metadata::parse(body.as_bytes(), &issuer).is_err(), "{body}");
        }
    }

    #[test]
    fn the_secret_goes_where_the_provider_takes_it() {
        let with = |methods: Value| {
            let taken = parsed(json!({"token_endpoint_auth_methods_supported": methods}));
            taken.map(|metadata| metadata.authentication)
        };
        let both = json!(["client_secret_post", "client_secret_basic"]);
        assert_eq!(with(both), Ok(ClientAuthentication::Basic));
        assert_eq!(
            with(json!(["client_secret_post"])),
            Ok(ClientAuthentication::Post)
        );
        assert!(with(json!(["private_key_jwt"])).is_err());
        let named = parsed(json!({"authorization_response_iss_parameter_supported": true}));
        assert!(named.expect("good").names_issuer);
    }
}
