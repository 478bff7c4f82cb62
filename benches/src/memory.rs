//! What a million closed tenants cost in memory: everything a gate keeps of them.

// Replaces the allocator: nothing is timed in this program.
use allocation_counter::measure;

#[path = "gates.rs"]
mod gates;

const COUNT: usize = 1_000_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut gates = Vec::with_capacity(2);
    let empty = measure(|| gates.push(runtime.block_on(gates::gate(0))));
    let full = measure(|| gates.push(runtime.block_on(gates::gate(COUNT))));
    let bytes = (full.bytes_current - empty.bytes_current) as f64 / COUNT as f64;
    println!("memory, a closed tenant of a million\t{bytes:.0}\t250");
}
