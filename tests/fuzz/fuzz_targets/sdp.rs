#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| crosspoint_wire::fuzzing::sdp(data));
