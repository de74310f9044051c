#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| crosspoint_control::fuzzing::offer(data));
