//! An issuer of tokens for tests: keys of three kinds, made here, and what they sign.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{whoami, with_token};
use crate::support::{Tidegate, Tree};

pub const ISSUER: &str = "https://sso.example.com";
pub const SECRET: &str = "a shared secret of forty characters, say";

/// A key pair of an issuer.
pub struct Signer {
    pub algorithm: Algorithm,
    pub key: EncodingKey,
    pub public: Jwk,
    pub public_pem: String,
}

impl Signer {
    pub fn new(algorithm: Algorithm) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kind = match algorithm {
            Algorithm::RS256 => "RSA -pkeyopt rsa_keygen_bits:2048",
            Algorithm::ES256 => "EC -pkeyopt ec_paramgen_curve:P-256",
            _ => "ed25519",
        };
        openssl(dir.path(), &format!("genpkey -algorithm {kind} -out key.pem"));
        openssl(dir.path(), "pkey -in key.pem -pubout -out public.pem");
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let pem = read("key.pem");
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_ed_pem(pem.as_bytes()),
        };
        let key = key.unwrap();
        let mut public = Jwk::from_encoding_key(&key, algorithm).unwrap();
        public.common.key_id = Some(format!("{algorithm:?}"));
        Self { algorithm, key, public, public_pem: read("public.pem") }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header =
            Header { kid: self.public.common.key_id.clone(), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }
}

pub fn openssl(dir: &Path, line: &str) {
    let done = Command::new("openssl").args(line.split(' ')).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
}

pub static SIGNERS: LazyLock<[Signer; 3]> =
    LazyLock::new(|| [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].map(Signer::new));

pub fn signer(algorithm: Algorithm) -> &'static Signer {
    SIGNERS.iter().find(|signer| signer.algorithm == algorithm).unwrap()
}

pub fn seconds(from_now: i64) -> i64 {
    jiff::Timestamp::now().as_second() + from_now
}

/// Claims that pass, with some replaced; null takes one away.
pub fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "tidegate", "sub": "ann", "exp": seconds(600), "roles": ["all"],
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

/// A tree with an issuer that has all three keys; `more` goes to the issuer.
pub fn tree(more: &str) -> Tree {
    let tree = Tree::new();
    tree.sqlite("SELECT 1");
    whoami(&tree, "who", "");
    whoami(&tree, "open", "visibility: public\nauth_required: false");
    let keys: Vec<&Jwk> = SIGNERS.iter().map(|signer| &signer.public).collect();
    tree.write("policies/keys/all.json", &json!({ "keys": keys }).to_string());
    issuer(&tree, "sso", ISSUER, "{jwks_file: policies/keys/all.json}", more);
    tree
}

pub fn issuer(tree: &Tree, name: &str, iss: &str, keys: &str, more: &str) {
    tree.write(
        &format!("policies/{name}.yaml"),
        &format!("kind: jwt_issuer\nname: {name}\nissuer: {iss}\naudience: tidegate\nkeys: {keys}\n{more}"),
    );
}

/// Serves the tree to callers that may fail as often as they like.
pub fn unlimited(tree: &Tree) -> Tidegate {
    tree.serve_with(&["--max-auth-failures-per-minute", "0"])
}

/// The token must be refused, also where nobody has to say who it is.
pub fn refused(gateway: &Tidegate, what: &str, token: &str) {
    for code in ["who", "open"] {
        let answer = with_token(gateway, code, token);
        assert_eq!((answer.status, answer.code().as_str()), (401, "UNAUTHORIZED"), "{what}");
    }
}

pub fn encode_part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

pub fn hs256(secret: &[u8], kid: Option<&str>, claims: &Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::HS256) };
    encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
}
