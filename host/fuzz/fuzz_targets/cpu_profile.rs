#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    // Either answer is right. What is not is to panic, to hang, or to ask for much memory.
    let _ = host_fuzz::cpu_profile(input);
});
