//! A provider of identities (OpenID Connect) as a test scripts it, with keys of its own that really sign. It answers calls as they come; a
//! test speaks for the person at the browser. It checks what a provider has to check of its client, so that a client that sends too little
//! fails its test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

/// How many bytes of PKCS#8 stand before an RSA key of 2048 bits.
const RSA_FRAME_BYTES: usize = 26;

/// A key that signs, and its public half.
#[derive(Clone)]
pub struct SigningKey {
    header: Header,
    private: EncodingKey,
    public: Value,
}

impl SigningKey {
    /// An RSA key of 2048 bits, for RS256.
    pub fn rsa(name: &str) -> Self {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let private: Pkcs8V1Der<'_> = pair.as_der().expect("a key in PKCS#8");
        // The library takes the key without the frame of PKCS#8, which is as long as this for every key of this size.
        let (frame, private) = private.as_ref().split_at(RSA_FRAME_BYTES);
        assert!(frame.starts_with(&[0x30, 0x82]) && private.starts_with(&[0x30, 0x82]));
        Self::new(name, Algorithm::RS256, EncodingKey::from_rsa_der(private))
    }

    /// A key on P-256, for ES256.
    pub fn ec(name: &str) -> Self {
        let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let private = EncodingKey::from_ec_der(private.expect("a key").as_ref());
        Self::new(name, Algorithm::ES256, private)
    }

    fn new(name: &str, algorithm: Algorithm, private: EncodingKey) -> Self {
        let public = Jwk::from_encoding_key(&private, algorithm).expect("a public key");
        let mut public = serde_json::to_value(public).expect("a key is JSON");
        public["kid"] = json!(name);
        public["use"] = json!("sig");
        let header = Header {
            kid: Some(name.to_owned()),
            ..Header::new(algorithm)
        };
        Self {
            header,
            private,
            public,
        }
    }

    /// Its public half, as the provider shows it.
    pub fn public(&self) -> &Value {
        &self.public
    }

    /// A token under it, with another header where one is given.
    pub fn sign(&self, claims: &Value, header: Option<&Header>) -> String {
        jsonwebtoken::encode(header.unwrap_or(&self.header), claims, &self.private).expect("it signs")
    }
}

/// What somebody asked for at the provider, to be exchanged once.
struct Granted {
    nonce: String,
    challenge: String,
    redirect_uri: String,
    claims: Map<String, Value>,
}

/// Makes the token out of the claims that it would have.
type Signer = dyn Fn(&SigningKey, Value) -> String + Send + Sync;

struct State {
    issuer: String,
    now_seconds: i64,
    signing: SigningKey,
    shown: Vec<Value>,
    described: Map<String, Value>,
    granted: HashMap<String, Granted>,
    signer: Arc<Signer>,
    asked: Vec<String>,
}

/// The provider. Clones are the same one.
#[derive(Clone)]
pub struct IdentityProvider(Arc<Mutex<State>>);

impl IdentityProvider {
    /// What its client is called.
    pub const CLIENT_ID: &'static str = "sentinel admin";
    /// The client's secret, with what has to be escaped.
    pub const CLIENT_SECRET: &'static str = "s3cret:+&%/=";

    /// One that calls itself so, and for which it is `now_seconds` after the epoch.
    pub fn new(issuer: &str, now_seconds: i64, signing: SigningKey) -> Self {
        Self(Arc::new(Mutex::new(State {
            issuer: issuer.to_owned(),
            now_seconds,
            shown: vec![signing.public().clone()],
            signing,
            described: Map::new(),
            granted: HashMap::new(),
            signer: Arc::new(|key, claims| key.sign(&claims, None)),
            asked: Vec::new(),
        })))
    }

    /// It is so many seconds after the epoch for it from now on.
    pub fn set_now(&self, now_seconds: i64) {
        self.lock().now_seconds = now_seconds;
    }

    /// Calls itself so from now on.
    pub fn rename(&self, issuer: &str) {
        issuer.clone_into(&mut self.lock().issuer);
    }

    /// What it calls itself.
    pub fn issuer(&self) -> String {
        self.lock().issuer.clone()
    }

    /// Signs with this key from now on, and shows it beside the ones before only if `keeps` says so.
    pub fn rotate(&self, signing: SigningKey, keeps: bool) {
        let mut state = self.lock();
        if !keeps {
            state.shown.clear();
        }
        state.shown.push(signing.public().clone());
        state.signing = signing;
    }

    /// Signs with a key that it does not show.
    pub fn sign_with(&self, signing: SigningKey) {
        self.lock().signing = signing;
    }

    /// Describes itself so from now on, beside what it says anyway.
    pub fn describe(&self, member: &str, value: Value) {
        self.lock().described.insert(member.to_owned(), value);
    }

    /// Makes tokens so from now on.
    pub fn make_tokens(&self, signer: impl Fn(&SigningKey, Value) -> String + Send + Sync + 'static) {
        self.lock().signer = Arc::new(signer);
    }

    /// What it was asked for so far, each as a path.
    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    /// The person whom these claims are about approves at the address that the browser was sent to: gives the code and the state that the
    /// browser is sent back with.
    pub fn approve(&self, url: &str, claims: &Value) -> (String, String) {
        let mut state = self.lock();
        let (endpoint, query) = url.split_once('?').expect("a question");
        assert_eq!(endpoint, format!("{}/authorize", state.issuer));
        let mut asked: HashMap<String, String> = serde_urlencoded::from_str(query).expect("a query");
        let mut take = |name: &str| asked.remove(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(take("response_type"), "code");
        assert_eq!(take("client_id"), Self::CLIENT_ID);
        assert_eq!(take("code_challenge_method"), "S256");
        assert!(take("scope").split(' ').any(|scope| scope == "openid"));
        let code = format!("code-{}", state.granted.len() + state.asked.len());
        let granted = Granted {
            nonce: take("nonce"),
            challenge: take("code_challenge"),
            redirect_uri: take("redirect_uri"),
            claims: claims.as_object().expect("an object").clone(),
        };
        state.granted.insert(code.clone(), granted);
        (code, take("state"))
    }

    /// Answers a call: the status and the body.
    pub fn answer(&self, target: &str, authorization: Option<&str>, body: &[u8]) -> (u16, String) {
        let mut state = self.lock();
        state.asked.push(target.to_owned());
        let (status, answer) = match target {
            "/.well-known/openid-configuration" => (200, state.description()),
            "/keys" => (200, json!({ "keys": state.shown })),
            "/token" => state.exchange(authorization, body),
            _ => (404, json!({})),
        };
        (status, answer.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn description(&self) -> Value {
        let at = |path: &str| json!(format!("{}{path}", self.issuer));
        let mut description = Map::from_iter([
            ("issuer".to_owned(), json!(self.issuer)),
            ("authorization_endpoint".to_owned(), at("/authorize")),
            ("token_endpoint".to_owned(), at("/token")),
            ("jwks_uri".to_owned(), at("/keys")),
        ]);
        description.extend(self.described.clone());
        Value::Object(description)
    }

    fn exchange(&mut self, authorization: Option<&str>, body: &[u8]) -> (u16, Value) {
        let mut form: HashMap<String, String> = serde_urlencoded::from_bytes(body).unwrap_or_default();
        let mut take = |name: &str| form.remove(name).unwrap_or_default();
        let client = match authorization {
            Some(header) => basic(header),
            None => Some((take("client_id"), take("client_secret"))),
        };
        let ours = (
            IdentityProvider::CLIENT_ID.to_owned(),
            IdentityProvider::CLIENT_SECRET.to_owned(),
        );
        if client != Some(ours) {
            return (401, json!({"error": "invalid_client"}));
        }
        let refused = (400, json!({"error": "invalid_grant"}));
        // A code is good once, whatever comes of it.
        let Some(granted) = self.granted.remove(&take("code")) else {
            return refused;
        };
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, take("code_verifier").as_bytes());
        let is_whose = take("grant_type") == "authorization_code"
            && take("redirect_uri") == granted.redirect_uri
            && BASE64URL_NOPAD.encode(digest.as_ref()) == granted.challenge;
        if !is_whose {
            return refused;
        }
        let mut claims = json!({
            "iss": self.issuer, "aud": IdentityProvider::CLIENT_ID, "nonce": granted.nonce,
            "iat": self.now_seconds, "exp": self.now_seconds + 300,
        });
        claims.as_object_mut().expect("an object").extend(granted.claims);
        let token = (self.signer)(&self.signing, claims);
        (
            200,
            json!({"access_token": "opaque", "token_type": "Bearer", "id_token": token}),
        )
    }
}

/// The client of a basic authorization, each part escaped as in a form.
fn basic(header: &str) -> Option<(String, String)> {
    let decoded = BASE64.decode(header.strip_prefix("Basic ")?.as_bytes()).ok()?;
    let pair = String::from_utf8(decoded).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let unescaped = |text: &str| {
        let mut pairs: Vec<(String, String)> = serde_urlencoded::from_str(&format!("x={text}")).ok()?;
        pairs.pop().map(|(_, value)| value)
    };
    Some((unescaped(id)?, unescaped(secret)?))
}
