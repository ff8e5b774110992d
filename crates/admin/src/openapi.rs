//! The description of the API as OpenAPI 3.1: what each handler says of itself, and what the table of routes knows of all of them.
//!
//! Who may call a route and how it can fail in general is never written by hand: it is added here, from the same table that serves
//! requests. Nothing in here may read the state of a server: the description is the same on every one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi, Ref, RefOr, Required};

use crate::problem::{Code, PROBLEM_MEDIA_TYPE, ProblemBody};
use crate::routes::{self, Access};

/// Where a handler's annotation names the codes that are its own.
const PROBLEMS_EXTENSION: &str = "x-problems";
/// Where an operation says what its caller must be allowed to do.
const PERMISSION_EXTENSION: &str = "x-permission";
/// The name of the way to prove who one is.
const BEARER: &str = "bearer";
/// The schema of every error.
const PROBLEM_SCHEMA: &str = "Problem";
/// Schemas of answers whose members may be left out. In all others every member is always there, if only as null.
const WITH_ABSENT_MEMBERS: [&str; 2] = [PROBLEM_SCHEMA, "PolicyOverride"];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Key-IP Sentinel, admin API",
        description = "What the console and scripts do with a Sentinel. Times are RFC 3339, in UTC. Lists come in pages: a page's \
            `next_before` is the `before` of the next one, and null on the last. An error is a problem (RFC 9457) whose `type` ends in a \
            code that never changes its meaning; `x-problems` lists those of an operation, \
            `x-permission` names what its caller must be allowed to do."
    ),
    components(schemas(ProblemBody<'_>))
)]
struct Frame;

/// The description, as one JSON text with a line end.
///
/// # Panics
///
/// When an annotation names a problem's code that does not exist, which a test rules out.
pub fn openapi_json() -> String {
    // By way of a value, whose members are sorted: those that handlers add come in another order each time.
    let sorted = serde_json::to_value(document()).expect("a description is always JSON");
    let mut text = serde_json::to_string_pretty(&sorted).expect("a value is always JSON");
    text.push('\n');
    text
}

/// The description of every route of the listener.
pub(crate) fn document() -> OpenApi {
    let mut document = Frame::openapi();
    for (tag, mut part) in routes::documents() {
        for item in part.paths.paths.values_mut() {
            for operation in operations(item).into_values() {
                operation.tags = Some(vec![tag.to_owned()]);
                let name = operation.operation_id.take().unwrap_or_default();
                operation.operation_id = Some(format!("{tag}_{name}"));
            }
        }
        document.merge(part);
    }
    for route in routes::all() {
        let item = document.paths.paths.get_mut(route.path);
        if let Some(operation) = item.and_then(|item| operations(item).remove(route.method)) {
            if route.is_answered_once {
                take_idempotency_key(operation);
            }
            complete(operation, route.access, route.is_answered_once);
        }
    }
    let in_requests = schemas_in_requests(&mut document);
    let components = document.components.get_or_insert_default();
    for (name, schema) in &mut components.schemas {
        if let RefOr::T(Schema::Object(object)) = schema
            && !in_requests.contains(name)
            && !WITH_ABSENT_MEMBERS.contains(&name.as_str())
        {
            object.required = object.properties.keys().cloned().collect();
        }
        if let (PROBLEM_SCHEMA, RefOr::T(Schema::Object(problem))) = (name.as_str(), schema) {
            let types = Code::ALL.map(|code| Value::from(code.type_uri()));
            let types = ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(types));
            problem.properties.insert("type".to_owned(), types.into());
        }
    }
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The token that a sign-in gave."))
        .build();
    components
        .security_schemes
        .insert(BEARER.to_owned(), SecurityScheme::Http(scheme).into());
    document
}

/// The operations of a path by their method.
pub(crate) fn operations(item: &mut PathItem) -> BTreeMap<&'static str, &mut Operation> {
    [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("PATCH", &mut item.patch),
        ("DELETE", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
    .collect()
}

/// Adds the header by which a request is known when it comes again.
fn take_idempotency_key(operation: &mut Operation) {
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A name for this request, at most 128 visible characters. For 24 hours the same request under the same name gets the first answer \
             again, with `Idempotency-Replayed: true`, and changes nothing.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).max_length(Some(128))))
        .build();
    operation.parameters.get_or_insert_default().push(key.into());
}

/// Adds who may call it, and every way in which it can fail.
fn complete(operation: &mut Operation, access: Access, is_answered_once: bool) {
    let mut codes = own_codes(operation);
    codes.extend([Code::RequestTimeout, Code::Internal]);
    if is_answered_once {
        codes.extend([Code::IdempotencyKeyReused, Code::RequestUnderWay]);
    }
    if let Access::Needs(permission) = access {
        operation.security = Some(vec![SecurityRequirement::new(BEARER, [""; 0])]);
        codes.extend([
            Code::SignInRequired,
            Code::PermissionDenied,
            Code::StoreBusy,
            Code::StoreUnavailable,
        ]);
        operation
            .extensions
            .get_or_insert_default()
            .insert(PERMISSION_EXTENSION.to_owned(), permission.name().into());
    }
    if operation.parameters.as_ref().is_some_and(|all| !all.is_empty()) {
        codes.insert(Code::InvalidField);
    }
    if operation.request_body.is_some() {
        codes.extend([
            Code::InvalidField,
            Code::MalformedJson,
            Code::UnsupportedMediaType,
            Code::BodyTooLarge,
        ]);
    }
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in &codes {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        let responses = &mut operation.responses.responses;
        responses.insert(status.to_string(), problems(status, &codes).into());
    }
    let words: Vec<Value> = codes.iter().map(|code| code.as_str().into()).collect();
    operation
        .extensions
        .get_or_insert_default()
        .insert(PROBLEMS_EXTENSION.to_owned(), words.into());
}

/// The codes that the handler's annotation names.
fn own_codes(operation: &Operation) -> BTreeSet<Code> {
    let named = operation
        .extensions
        .as_ref()
        .and_then(|all| all.get(PROBLEMS_EXTENSION));
    let words = named.and_then(Value::as_array).into_iter().flatten();
    words
        .map(|word| {
            let code = word.as_str().and_then(Code::from_word);
            code.expect("an annotation names codes of problems only; a test makes this document")
        })
        .collect()
}

fn problems(status: u16, codes: &[Code]) -> utoipa::openapi::Response {
    let lines: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}.", code.as_str(), code.title()))
        .collect();
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(PROBLEM_SCHEMA)))
        .build();
    let response = ResponseBuilder::new()
        .description(lines.join(" "))
        .content(PROBLEM_MEDIA_TYPE, content);
    if matches!(status, 429 | 503) {
        let wait = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::Integer)))
            .description(Some("After how many seconds to try again, when that is known."))
            .build();
        response.header("Retry-After", wait).build()
    } else {
        response.build()
    }
}

/// The names of all schemas that a request's body is made of.
fn schemas_in_requests(document: &mut OpenApi) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for item in document.paths.paths.values_mut() {
        for operation in operations(item).into_values() {
            let body = serde_json::to_value(&operation.request_body);
            collect_references(&body.expect("a description is always JSON"), &mut found);
        }
    }
    let schemas = document.components.iter().flat_map(|all| &all.schemas);
    let schemas: BTreeMap<&String, Value> = schemas
        .map(|(name, schema)| {
            (
                name,
                serde_json::to_value(schema).expect("a schema is always JSON"),
            )
        })
        .collect();
    loop {
        let before = found.len();
        for name in found.clone() {
            if let Some(schema) = schemas.get(&name) {
                collect_references(schema, &mut found);
            }
        }
        // It grows by at least one each time, and there are only so many schemas.
        if found.len() == before {
            return found;
        }
    }
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member.as_str()) {
                    ("$ref", Some(target)) => {
                        found.insert(target.rsplit('/').next().unwrap_or_default().to_owned());
                    }
                    _ => collect_references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
