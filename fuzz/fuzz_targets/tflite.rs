#![cfg_attr(fuzzing, no_main)]
voxcheck_fuzz::fuzz!("tflite");
