use super::*;

fn claims(profile: &Profile, path: &str) -> bool {
    profile.is_claim_path(&RequestPath::new(path))
}

#[test]
fn every_built_in_profile_is_found_by_its_name() {
    for name in Profile::BUILT_IN {
        assert_eq!(Profile::built_in(name).expect("built in").name, name);
    }
    assert!(Profile::built_in("nothing").is_none());
}

#[test]
fn keys_are_claimed_on_claim_paths_only() {
    let new_api = Profile::built_in("new-api").expect("built in");
    for path in [
        "/v1/chat/completions",
        "/v1beta/models/x:generateContent",
        "/mj/submit/imagine",
        "/fast/mj/submit/imagine",
        "/suno/submit/music",
        "/kling/v1/videos/text2video",
        "/jimeng/",
    ] {
        assert!(claims(&new_api, path), "{path}");
    }
    for path in [
        "/",
        "/api/user/self",
        "/api/usage/token",
        "/v1",
        "/v10/x",
        "/assets/v1/x",
        "/pg/chat/completions",
    ] {
        assert!(!claims(&new_api, path), "{path}");
    }
    let litellm = Profile::built_in("litellm").expect("built in");
    for path in [
        "/chat/completions",
        "/v1/chat/completions",
        "/anthropic/v1/messages",
        "/embeddings",
        "/azure_ai/x",
        "/openai_passthrough/v1/responses",
        "/cursor/chat/completions",
        "/langfuse/api/public/ingestion",
        "/eu.assemblyai/v2/transcript",
        "/milvus/x",
        "/containers",
        "/rag/query",
        "/interactions/1/cancel",
        "/agents",
        "/vector_store/list",
        "/guardrails/apply_guardrail",
        "/utils/token_counter",
        "/mcp-rest/tools/call",
    ] {
        assert!(claims(&litellm, path), "{path}");
    }
    for path in [
        "/key/generate",
        "/ui/",
        "/sso/key/generate",
        "/health/readiness",
        "/guardrails/list",
        "/spend/logs",
    ] {
        assert!(!claims(&litellm, path), "{path}");
    }
}

#[test]
fn no_spelling_of_a_claim_path_is_a_way_around_it() {
    let new_api = Profile::built_in("new-api").expect("built in");
    for path in [
        "//v1/chat/completions",
        "/%761/chat/completions",
        "/x/../v1/chat/completions",
        "/v1/../api/x",
        "/v1%2fchat/completions",
        "/./v1/chat/completions",
    ] {
        assert!(claims(&new_api, path), "{path}");
    }
}

#[test]
fn spellings_of_one_key_normalise_alike() {
    let stem = |text: &str| match Normalisation::SkPrefixAndChannel.apply(text) {
        Some(NormalisedKey::CaseFolded(stem)) => stem.to_owned(),
        other => format!("{other:?}"),
    };
    for text in ["sk-K1", "K1", "sk-K1-12", "K1-12"] {
        assert_eq!(stem(text), "K1", "{text}");
    }
    assert_eq!(
        stem("sk-sk-K1"),
        "sk",
        "only one prefix is cut, as the gateway does"
    );
    assert!(Normalisation::SkPrefixAndChannel.apply("sk-").is_none());
    assert!(Normalisation::SkPrefixAndChannel.apply("-12").is_none());
    assert!(matches!(
        Normalisation::Exact.apply("sk-a-b"),
        Some(NormalisedKey::Exact("sk-a-b"))
    ));
    assert!(Normalisation::Exact.apply("").is_none());
}

#[test]
fn each_route_has_its_dialect() {
    let new_api = Profile::built_in("new-api").expect("built in");
    for (path, dialect) in [
        ("/v1/chat/completions", Dialect::OpenAi),
        ("/v1/messages", Dialect::Anthropic),
        ("/v1/messages/count_tokens", Dialect::Anthropic),
        ("/v1/mess%61ges", Dialect::Anthropic),
        ("/v1beta/models/x:generateContent", Dialect::Gemini),
        ("/v1beta/openai/models", Dialect::OpenAi),
        ("/", Dialect::Plain),
    ] {
        assert_eq!(new_api.dialect(&RequestPath::new(path)), dialect, "{path}");
    }
}
