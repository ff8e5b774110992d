mod cache;
mod support;
