mod attempts;
mod cache;
mod channel;
mod corruption;
mod counters;
mod faults;
mod support;
mod words;
