mod attempts;
mod cache;
mod channel;
mod corruption;
mod faults;
mod support;
mod words;
