#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    // A success and an error are both right. A panic, a hang or a large allocation is wrong.
    let _ = host_fuzz::weight_cache(input);
});
