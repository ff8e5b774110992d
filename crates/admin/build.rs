//! Compiles the crate anew when the console was built anew: the embedded files are not known to the compiler.

fn main() {
    println!("cargo::rerun-if-changed=../../console/dist");
}
