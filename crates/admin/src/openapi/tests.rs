use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// Set when the file is to be written anew instead of compared.
const UPDATE_VARIABLE: &str = "UPDATE_GENERATED";

/// All routes but those of pages for people.
fn routes_of_the_api() -> impl Iterator<Item = routes::Route> {
    let all = routes::all().into_iter();
    all.filter(|route| !route.path.starts_with("/admin/ui/"))
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let mut document = document();
    let described: BTreeSet<String> = document
        .paths
        .paths
        .iter_mut()
        .flat_map(|(path, item)| {
            let methods = operations(item).into_keys();
            methods
                .map(|method| format!("{method} {path}"))
                .collect::<Vec<_>>()
        })
        .collect();
    let served: BTreeSet<String> = routes_of_the_api()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect::<Vec<_>>();
    assert_eq!(
        (only(&served, &described), only(&described, &served)),
        (Vec::new(), Vec::new()),
        "routes without a description, descriptions without a route: see CONTRIBUTING.md"
    );
}

#[test]
fn operations_have_names_of_their_own_and_a_summary() {
    let mut names = BTreeSet::new();
    for item in document().paths.paths.values_mut() {
        for operation in operations(item).into_values() {
            let name = operation.operation_id.clone().expect("it has a name");
            let summary = operation.summary.clone().unwrap_or_default();
            assert!(
                summary.ends_with('.') && !summary.starts_with('`'),
                "{name}: {summary:?}"
            );
            assert!(names.insert(name.clone()), "{name} is there twice");
        }
    }
}

#[test]
fn signed_in_routes_ask_for_the_token_and_public_ones_do_not() {
    let mut document = document();
    for route in routes_of_the_api() {
        let item = document.paths.paths.get_mut(route.path).expect("described");
        let operation = operations(item).remove(route.method).expect("described");
        let is_public = route.access == Access::Public;
        assert_eq!(operation.security.is_none(), is_public, "{}", route.path);
        let responses = &operation.responses.responses;
        assert!(responses.contains_key("500"), "{}", route.path);
        assert!(is_public || responses.contains_key("401"), "{}", route.path);
    }
}

#[test]
fn every_schema_that_is_named_is_there() {
    let document = document();
    let mut named = BTreeSet::new();
    collect_references(&serde_json::to_value(&document).expect("JSON"), &mut named);
    let there: BTreeSet<String> = document
        .components
        .expect("there are schemas")
        .schemas
        .into_keys()
        .collect();
    assert_eq!(
        named.difference(&there).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}

#[test]
fn it_is_made_alike_each_time() {
    assert_eq!(openapi_json(), openapi_json());
}

#[test]
fn the_committed_copy_is_what_is_made_here() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = openapi_json();
    if std::env::var_os(UPDATE_VARIABLE).is_some() {
        std::fs::write(&path, &made).expect("the repository can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "stale: run {UPDATE_VARIABLE}=1 cargo test -p sentinel-admin the_committed_copy"
    );
}
