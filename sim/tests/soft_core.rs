//! The soft core beside the units: its layers equal golden's, bit for bit, and its faults have names.
#![allow(clippy::unwrap_used)]

mod core_bench;
mod program;
mod trials;

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use bitnet::checkpoint::Checkpoint;
use bitnet::layer::{CpuBackend, DecoderLayer, KvCache};
use bitnet::model::Model;
use bitnet::sampler::Sampler;
use bitnet::skip::Skips;
use bitnet::synthetic::Synthetic;
use bitnet::weights::WeightSource;
use core_bench::chain::Chain;
use core_bench::head::{HeadSystem, MARGIN, Rows, hidden};
use core_bench::{Case, patch, small};
use cost::board::{Board, DdrMode};
use golden::Dtype;
use libtest_mimic::Arguments;
use ndarray::{Array2, Axis};
use program::{sim, testdata};
use safetensors::SafeTensors;
use sequencer::record::Elements;
use sequencer::{map, regs};
use soft_core::Error;
use soft_core::core::Core;
use soft_core::head::HeadOutput;
use soft_core::system::System;
use testbench::device::VerilatedDevice;
use tmv::functional::FunctionalDevice;
use verilated::{Model as Verilated, ModelSpec, Trace, VerilatedContext};
use zynq_memory::{Faults, ReadFault, SLVERR, WriteFault};

/// `nop` of RISC-V.
const NOP: u32 = 0x0000_0013;
/// A jump to itself.
const STAY: u32 = 0x0000_006F;
/// VexRiscv's instruction that invalidates its data cache.
const INVALIDATE: u32 = 0x0000_500F;

macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        vec![$(trials::trial(stringify!($name), trials::missing_target(Core::VexRiscv), $name)),*]
    };
}

fn main() -> ExitCode {
    let mut all = trials![
        a_layer_equals_golden,
        a_checkpoint_agrees_with_the_reference,
        one_sequence_on_every_device,
        a_stalling_memory_changes_no_bit,
        runs_of_cycles_change_nothing,
        a_narrow_port_changes_no_bit,
        the_window_moves,
        the_data_cache_is_invalidated,
        a_trap_has_a_name,
        a_core_without_an_answer,
        a_stack_that_overflows,
        errors_of_the_memory_have_names,
        an_error_of_the_unit_has_its_name,
        values_that_are_not_finite_have_a_name,
        registers_refuse_by_name,
        a_reset_in_the_middle,
        a_stop_loses_no_word,
        a_core_at_rest_has_nothing_in_flight,
        a_core_waits_for_its_last_access,
        the_window_takes_no_stray_answer,
        a_cache_of_keys_keeps_its_old_rows,
        the_command_reports_every_operator,
        both_units_equal_golden,
        both_units_skip_rows,
        one_top_does_what_its_parts_do,
        the_host_reaches_all_three_of_a_top,
        both_units_agree_with_the_reference,
        layers_follow_each_other,
        layers_in_another_order_are_noticed,
        the_head_chooses_goldens_token,
        the_head_computes_as_few_logits_as_it_can,
        hard_heads_have_the_right_token,
        logits_that_rounding_makes_equal,
        a_wrong_head_is_noticed,
        errors_of_the_head_have_names,
        errors_of_the_vector_unit_have_names,
        layers_that_do_not_fit_have_a_name,
        the_command_runs_every_operator,
        the_command_runs_every_layer,
        the_command_chooses_tokens,
        the_command_records_the_core,
        the_command_reports_what_it_verified,
        options_that_do_not_go_together,
        a_machine_without_the_target,
    ];
    // It takes minutes: `.ci/scheduled cores` runs it.
    let fpu = trials::trial("a_core_with_an_fpu_equals_golden", None, a_core_with_an_fpu_equals_golden);
    all.push(fpu.with_ignored_flag(true));
    libtest_mimic::run(&Arguments::from_args(), all).exit_code()
}

fn a_layer_equals_golden() {
    for (tokens, past, dtype) in
        [(1, 0, Dtype::Fp32), (1, 5, Dtype::Fp32), (3, 0, Dtype::Fp32), (3, 5, Dtype::Bf16), (1, 7, Dtype::Bf16)]
    {
        let case = Case::new(small(), tokens, past, dtype);
        let mut system = case.system();
        let output = case.run(&mut system).unwrap();
        case.check(&output, &format!("{tokens} tokens after {past}, {dtype:?}"));
        let steps: Vec<_> = output.steps.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, decoder::Step::ALL);
        let in_steps: u64 = output.steps.iter().map(|(_, cycles)| cycles).sum();
        assert!(in_steps < output.cycles && output.unit_cycles < output.cycles / 2, "the unit rests");
    }
}

/// The published form of a model, free-running: each layer's input is the output that the core left in memory. Tensors
/// agree with those of the reference implementation, integers exactly.
fn a_checkpoint_agrees_with_the_reference() {
    let folder = testdata("tiny-packed");
    let source = Checkpoint::open(folder.clone()).unwrap();
    let bytes = std::fs::read(folder.join("expected-fp32.safetensors")).unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    let ids = [318, 2, 282, 0, 1, 7];
    let model = Model::new(&source, Dtype::Fp32);
    let mut hidden = model.embed(&ids, &mut ()).unwrap();
    for layer in 0..source.config().num_hidden_layers {
        let case = Case::of(source.config(), layer, source.layer(layer).unwrap(), hidden, KvCache::new(), Dtype::Fp32);
        let output = case.run(&mut case.system()).unwrap();
        case.check(&output, &format!("layer {layer}"));
        let mut compared = 0;
        for (name, elements) in &output.layers[0].tensors {
            // The reference has no codes.
            let Ok(view) = reference.tensor(&format!("model.layers.{layer}.{name}")) else { continue };
            agrees(name, elements, view.data(), *view.shape().last().unwrap());
            compared += 1;
        }
        assert!(compared >= 50, "layer {layer}: only {compared} tensors of the reference");
        hidden = Array2::from_shape_vec((ids.len(), source.config().hidden_size), output.hidden).unwrap();
    }
    let logits = model.logits(&hidden, &mut ()).unwrap();
    let last = logits.row(ids.len() - 1).to_vec();
    assert_eq!(Sampler::greedy().next(&last).unwrap(), 188, "the reference's next token");
}

/// A layer of a tiny checkpoint, whose dimensions a vector unit takes.
fn tiny(tokens: usize, past: usize, dtype: Dtype) -> Case {
    let source = Checkpoint::open(testdata("tiny-packed")).unwrap();
    let (config, weights) = (source.config(), source.layer(1).unwrap());
    let hidden = Synthetic::new(config.clone(), 5).hidden(1, past + tokens).unwrap();
    let (first, rest) = hidden.view().split_at(Axis(0), past);
    let mut before = KvCache::new();
    if past > 0 {
        let layer = DecoderLayer::new(config, 1, &weights);
        layer.forward(&first.to_owned(), &mut before, dtype, &mut CpuBackend, &mut ()).unwrap();
    }
    Case::of(config, 1, weights, rest.to_owned(), before, dtype)
}

/// The core rings, the vector unit computes the floats, the ternary unit the products: every tensor equals golden's. With
/// ports of both widths, with a memory that stalls, and for a second job on the same system.
fn both_units_equal_golden() {
    for (lanes, tokens, past, dtype) in
        [(32, 1, 0, Dtype::Fp32), (32, 3, 37, Dtype::Bf16), (8, 1, 33, Dtype::Bf16), (8, 4, 3, Dtype::Fp32)]
    {
        let mut case = tiny(tokens, past, dtype).on_vector(lanes);
        case.memory.stall = if tokens == 4 { 60 } else { 0 };
        let mut system = case.system();
        for job in ["first", "second"] {
            let output = case.run(&mut system).unwrap();
            case.check(&output, &format!("{lanes} lanes, {tokens} tokens after {past}, {dtype:?}, {job} job"));
            assert_eq!(output.steps.len(), decoder::Step::ALL.len());
            let hidden: u64 = output.overlapped.iter().map(|(_, cycles)| cycles).sum();
            assert_eq!(hidden > 0, tokens == 1, "only one token lets both units work at once");
            for ((step, alone), (_, both)) in output.steps.iter().zip(&output.overlapped) {
                assert!(alone + both > 0, "{step:?} took no time");
            }
        }
    }
}

/// The ternary unit skips rows of one token, and reads all single rows of several. The output is that of all rows.
fn both_units_skip_rows() {
    for (lanes, past, dtype, stall) in
        [(32, 0, Dtype::Fp32, 0), (8, 33, Dtype::Bf16, 60), (16, 3, Dtype::Bf16, 0), (32, 5, Dtype::Fp32, 60)]
    {
        let mut case = tiny(1, past, dtype).on_vector(lanes).skipping();
        case.memory.stall = stall;
        let mut system = case.system();
        for job in ["first", "second"] {
            let output = case.run(&mut system).unwrap();
            case.check(&output, &format!("{lanes} lanes, one token after {past}, {dtype:?}, {job} job"));
        }
    }
}

/// `tmv_system`, the top of a design, gives the bits of the models that are stepped together, and takes as many cycles for each
/// operator. The host reaches the ternary unit on the bus that it shares with the sequencer.
fn one_top_does_what_its_parts_do() {
    for (tokens, past, dtype) in [(1, 33, Dtype::Bf16), (3, 5, Dtype::Fp32)] {
        let mut case = tiny(tokens, past, dtype).on_vector(8);
        case.unit.ports = 2;
        if tokens == 1 {
            case = case.skipping();
        }
        let (mut parts, mut top) = (case.system(), case.top());
        for job in ["first", "second"] {
            let [apart, one] = [&mut parts, &mut top].map(|system| case.run(system).unwrap());
            case.check(&one, &format!("{tokens} tokens after {past}, {dtype:?}, {job} job"));
            assert_eq!((&one.hidden, &one.busy), (&apart.hidden, &apart.busy), "{job} job");
            assert_eq!((&one.steps, &one.overlapped), (&apart.steps, &apart.overlapped), "{job} job");
        }
        let mut case = case;
        if tokens == 3 {
            case.vector = None;
            let hidden = top.with_unit(|unit| case.run_on(unit));
            assert_eq!(hidden, case.system().with_unit(|unit| case.run_on(unit)), "driven by the host");
        }
    }
}

/// The host finds both units and the sequencer, each refuses what it has not, and the sequencer sees the interrupts of both units.
fn the_host_reaches_all_three_of_a_top() {
    use tmv::regs::{IRQ_ENABLE, IRQ_ENABLE_BAD_ACCESS, IRQ_STATUS};
    let mut case = tiny(1, 0, Dtype::Fp32).on_vector(8);
    case.unit.ports = 2;
    let mut top = case.top();
    let ids = [0, 0x1000, 0x2000].map(|base| top.read_at(base).unwrap());
    assert_eq!(ids, [tmv::regs::ID_VALUE, vector::regs::ID_VALUE, regs::ID_VALUE]);
    let interrupts = |top: &mut System| {
        let status = top.read(regs::STATUS).unwrap();
        [regs::STATUS_UNIT_IRQ, regs::STATUS_VECTOR_IRQ].map(|bit| status & bit != 0)
    };
    for (base, raised) in [(0, [true, false]), (0x1000, [false, true])] {
        top.write_at(base + IRQ_ENABLE, IRQ_ENABLE_BAD_ACCESS).unwrap();
        assert_eq!(interrupts(&mut top), [false, false]);
        assert_eq!(top.read_at(base + 0x800).unwrap(), 0, "no register");
        assert_eq!(interrupts(&mut top), raised);
        top.write_at(base + IRQ_STATUS, IRQ_ENABLE_BAD_ACCESS).unwrap();
        assert_eq!(interrupts(&mut top), [false, false]);
    }
    assert_eq!(top.read(regs::IRQ_STATUS).unwrap(), 0);
    assert_eq!(top.read_at(0x3000).unwrap(), 0, "nothing is there");
    assert_eq!(top.read(regs::IRQ_STATUS).unwrap(), regs::IRQ_STATUS_BAD_ACCESS);
}

/// Layers run one behind the other: every tensor that is in memory equals golden's. With one token, and with several, whose
/// stream goes through memory; with zeros skipped; with more instructions than a program has.
fn layers_follow_each_other() {
    for (count, lanes, tokens, past, dtype, skips, stall) in [
        (2, 32, 1, 0, Dtype::Fp32, Skips::ALL, 0),
        (3, 8, 1, 5, Dtype::Bf16, Skips { rows: true, columns: false }, 60),
        (2, 16, 3, 2, Dtype::Fp32, Skips::default(), 60),
        (36, 32, 1, 1, Dtype::Bf16, Skips { rows: false, columns: true }, 0),
    ] {
        let chain = Chain::new(testdata("tiny-packed"), count, tokens, past, dtype, skips);
        let found = chain.differing(&chain.run(lanes, stall, |layers| layers));
        assert!(found.is_empty(), "{count} layers, {lanes} lanes, {tokens} tokens, {dtype:?}: {found:?}");
        assert_eq!(chain.instructions(lanes) > vector::regs::MAX_INSTRUCTIONS as usize, count == 36);
    }
}

/// Layers in another order are not golden's: in the first one nothing is right, and not the stream behind the last one.
fn layers_in_another_order_are_noticed() {
    let chain = Chain::new(testdata("tiny-packed"), 2, 1, 3, Dtype::Fp32, Skips::default());
    let found = chain.differing(&chain.run(32, 0, |layers| layers.into_iter().rev().collect()));
    for name in ["layer 0: self_attn.k_proj.acc", "layer 1: keys in memory", "output in memory"] {
        assert!(found.iter().any(|found| found == name), "{name}: {found:?}");
    }
}

/// All layers of a checkpoint, free-running, on both units, against the reference implementation.
fn both_units_agree_with_the_reference() {
    let folder = testdata("tiny-packed");
    let source = Checkpoint::open(folder.clone()).unwrap();
    let bytes = std::fs::read(folder.join("expected-fp32.safetensors")).unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    let ids = [318, 2, 282, 0, 1, 7];
    let model = Model::new(&source, Dtype::Fp32);
    let mut hidden = model.embed(&ids, &mut ()).unwrap();
    for layer in 0..source.config().num_hidden_layers {
        let case = Case::of(source.config(), layer, source.layer(layer).unwrap(), hidden, KvCache::new(), Dtype::Fp32);
        let case = case.on_vector(32);
        let output = case.run(&mut case.system()).unwrap();
        case.check(&output, &format!("layer {layer}"));
        let mut compared = 0;
        for (name, elements) in &output.layers[0].tensors {
            let Ok(view) = reference.tensor(&format!("model.layers.{layer}.{name}")) else { continue };
            agrees(name, elements, view.data(), *view.shape().last().unwrap());
            compared += 1;
        }
        assert!(compared >= 30, "layer {layer}: only {compared} tensors of the reference");
        hidden = Array2::from_shape_vec((ids.len(), source.config().hidden_size), output.hidden).unwrap();
    }
    let logits = model.logits(&hidden, &mut ()).unwrap();
    let last = logits.row(ids.len() - 1).to_vec();
    assert_eq!(Sampler::greedy().next(&last).unwrap(), 188, "the reference's next token");
}

/// The token of the output head, with everything that the units computed for it, for units and heads of several sizes.
fn the_head_chooses_goldens_token() {
    for (lanes, rows, dtype, stall) in [
        (32, 5_000, Dtype::Fp32, 0),
        (32, 4_099, Dtype::Bf16, 60),
        (8, 1_501, Dtype::Bf16, 0),
        (8, 700, Dtype::Fp32, 60),
        (32, 9, Dtype::Fp32, 0),
    ] {
        let source = Rows::synthetic(160, rows);
        HeadSystem::new(&source, dtype, lanes, stall).check(0..4, MARGIN);
    }
    let singles: Vec<f32> = Rows::synthetic(96, 900).rows().iter().map(|x| x * 1.001).collect();
    for dtype in [Dtype::Fp32, Dtype::Bf16] {
        let source = Rows::new(96, singles.clone(), false);
        HeadSystem::new(&source, dtype, 32, 0).check(0..3, MARGIN);
    }
}

/// A larger margin computes more logits, and chooses the same token. Rows that are ternary need few.
fn the_head_computes_as_few_logits_as_it_can() {
    let source = Rows::synthetic(160, 4_000);
    let mut system = HeadSystem::new(&source, Dtype::Fp32, 32, 0);
    let count = |outputs: Vec<HeadOutput>| outputs.iter().map(|output| output.chosen.logits).sum::<u32>();
    let [few, more, all] = [3.0, 6.0, 1_000.0].map(|margin| count(system.check(7..10, margin)));
    assert!(few < more && more < 3 * 4_000 && all >= 3 * 4_000, "{few}, {more}, {all}");
    // Without a margin, another token is chosen now and then, and that is noticed.
    let wrong = |seed| system.differing(seed, &source, 0.01).contains(&"lm_head.token".into());
    assert!((1..60).any(wrong), "no margin, and no wrong token");
    let ternary: Vec<f32> = source.rows().iter().map(|x| if x.abs() < 0.02 { 0.0 } else { x.signum() * 0.5 }).collect();
    let source = Rows::new(160, ternary, true);
    let exact = count(HeadSystem::new(&source, Dtype::Fp32, 32, 0).check(7..10, MARGIN));
    assert!(exact < few, "{exact} logits of ternary rows, {few} of others");
}

/// Rows that are equal, or nearly so, rows of zeros, and logits that are all negative.
fn hard_heads_have_the_right_token() {
    let base = Rows::synthetic(96, 1);
    let (row, cols) = (base.rows(), 96);
    let equal = row.repeat(700);
    let mut near = row.repeat(700);
    for (index, row) in near.chunks_exact_mut(cols).enumerate() {
        // The last bits of bfloat16.
        row[index % cols] *= 1.0 + 1.0 / 128.0;
    }
    let zeros = vec![0.0; 400 * cols];
    let mixed: Vec<f32> = [&zeros[..], row, &zeros[..cols], row].concat();
    let negative: Vec<f32> =
        (0..500).flat_map(|i| row.iter().map(move |x| x.abs() * -(1.0 + i as f32 / 500.0))).collect();
    for (what, rows) in [("equal", equal), ("near", near), ("zeros", zeros), ("mixed", mixed), ("negative", negative)] {
        for dtype in [Dtype::Fp32, Dtype::Bf16] {
            let source = Rows::new(cols, rows.clone(), true);
            let outputs = HeadSystem::new(&source, dtype, 32, 0).check(1..3, MARGIN);
            if what == "equal" {
                let all = outputs.iter().all(|output| output.chosen.logits >= 700 && output.chosen.row == 0);
                assert!(all, "every row counts, and the first is chosen");
            }
        }
    }
}

/// Logits that rounding to bfloat16 makes equal: the first of them is chosen, although its estimate is the least.
fn logits_that_rounding_makes_equal() {
    const BLOCKS: usize = 20;
    const COLS: usize = 320;
    let gains = Rows::synthetic(COLS, 1).final_norm().unwrap();
    let first = |seed: u32| {
        let stream = hidden(COLS, seed, Dtype::Bf16);
        let mut cols: Vec<usize> = (0..COLS).collect();
        cols.sort_by(|a, b| (stream[*a] * gains[*a]).abs().total_cmp(&(stream[*b] * gains[*b]).abs()));
        // In each block of 128 a row along the stream, without a column that hardly counts; in the first block, without one
        // that counts a little.
        cols.swap(0, 60);
        let mut rows = vec![0.0; BLOCKS * 128 * COLS];
        for (block, col) in cols[..BLOCKS].iter().enumerate() {
            let row = &mut rows[(128 * block + 5) * COLS..][..COLS];
            row.iter_mut().zip(&stream).for_each(|(w, x)| *w = 0.5 * x.signum());
            row[*col] = 0.0;
        }
        let source = Rows::new(COLS, rows, true);
        HeadSystem::new(&source, Dtype::Bf16, 32, 0).check(seed..seed + 1, 0.01)[0].chosen.row == 5
    };
    let equal = (1..13).filter(|seed| first(*seed)).count();
    assert!((1..12).contains(&equal), "some logits are equal: {equal}");
}

/// Weights of the largest row that are not golden's: its logit, its ternary copy, or another token differs.
fn a_wrong_head_is_noticed() {
    let golden = Rows::synthetic(96, 400);
    let chosen = HeadSystem::new(&golden, Dtype::Fp32, 32, 0).check(3..4, MARGIN)[0].chosen.row as usize;
    let changed = |change: &dyn Fn(&mut [f32])| {
        let mut rows = golden.rows().to_vec();
        change(&mut rows[chosen * 96..][..96]);
        let source = Rows::new(96, rows, true);
        HeadSystem::new(&source, Dtype::Fp32, 32, 0).differing(3, &golden, MARGIN)
    };
    // The last bit of a weight changes its logit, and hardly its estimate.
    let last_bit = changed(&|row| row[7] = f32::from_bits(row[7].to_bits() ^ 1 << 16));
    assert!(last_bit.contains(&"lm_head.logits".into()) && !last_bit.contains(&"lm_head.acc".into()), "{last_bit:?}");
    let none = changed(&|row| row.fill(0.0));
    for name in ["lm_head.acc", "lm_head.estimates", "lm_head.token"] {
        assert!(none.contains(&name.into()), "{name}: {none:?}");
    }
}

/// A stream that is not finite, and a width that the unit does not have.
fn errors_of_the_head_have_names() {
    let source = Rows::synthetic(96, 100);
    let mut system = HeadSystem::new(&source, Dtype::Fp32, 32, 0);
    let mut infinite = vec![1.0; 96];
    infinite[50] = f32::INFINITY;
    let Error::Reported { text, .. } = system.fails(&infinite) else { panic!("an infinity passed") };
    assert!(text.contains("NOT_FINITE"), "{text}");
    system.check(0..1, MARGIN);
    let source = Rows::synthetic(100, 100);
    let error = HeadSystem::new(&source, Dtype::Fp32, 32, 0).fails(&vec![1.0; 100]).to_string();
    assert!(error.contains("hidden_size is 100") && error.contains("a multiple of 32"), "{error}");
}

/// Errors of the vector unit come through the core with their names, and a system without one has an error too.
fn errors_of_the_vector_unit_have_names() {
    let mut case = tiny(1, 3, Dtype::Fp32).on_vector(32);
    let mut system = case.system();
    case.hidden[[0, 200]] = f32::INFINITY;
    let Err(Error::Reported { text, .. }) = case.run(&mut system) else { panic!("an infinity passed") };
    assert!(text.contains("NOT_FINITE"), "{text}");
    let good = tiny(1, 3, Dtype::Fp32).on_vector(32);
    good.check(&good.run(&mut system).unwrap(), "after an error");

    // The ternary unit fails in the middle of a layer. The vector unit waits for it, and must not wait for the next one less.
    for beats in [60, 300, 900] {
        let read = Some((0, system.memory().read_beats(0) + beats, ReadFault::Response(SLVERR)));
        *system.memory().faults() = Faults { read, ..Faults::default() };
        let Err(Error::Reported { text, .. }) = good.run(&mut system) else { panic!("an error of the bus passed") };
        assert!(text.contains("the ternary unit stopped with READ_SLVERR"), "{text}");
        *system.memory().faults() = Faults::default();
        good.check(&good.run(&mut system).unwrap(), "after an error of the ternary unit");
    }

    let vector = case.vector.take();
    let mut alone = case.system();
    case.vector = vector;
    let error = case.run(&mut alone).unwrap_err();
    assert!(matches!(error, Error::Bus { .. } | Error::Trapped { .. }), "{error}");
}

/// Dimensions that the unit does not have.
fn layers_that_do_not_fit_have_a_name() {
    let case = Case::new(small(), 1, 0, Dtype::Fp32).on_vector(32);
    let error = case.run(&mut case.system()).err().unwrap().to_string();
    assert!(error.contains("intermediate_size is 136") && error.contains("a multiple of 32"), "{error}");
}

/// The command: a line for each operator, JSON for scripts, and cycles without those that tensors take.
fn the_command_runs_every_operator() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let model = testdata("tiny-packed");
    let model = model.display().to_string();
    let arguments = ["--model", &model, "--layer", "1", "--prompt-ids", program::PROMPT, "--nonlinear", "vector"];
    let ran = sim(&[&arguments[..], &["--json", json.to_str().unwrap()]].concat()).code(0);
    assert!(ran.out.contains("on the vector unit") && ran.out.contains("0 mismatches"), "{ran}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let nonlinear = &report["nonlinear"];
    assert_eq!((&nonlinear["on"], &nonlinear["lanes"]), (&"vector".into(), &32.into()));
    assert_eq!(nonlinear["operators"].as_array().unwrap().len(), decoder::Step::ALL.len());
    assert_eq!(nonlinear["mismatches"], 0);
    let sum: u64 = nonlinear["operators"].as_array().unwrap().iter().map(|o| o["cycles"].as_u64().unwrap()).sum();
    assert_eq!(nonlinear["cycles"], sum);
}

/// All layers on both units, the last two of six tokens with a cache of the others. The next token is that of all tokens at
/// once, the sums are those of the layers, and with one token all of them take less time than one by one.
fn the_command_runs_every_layer() {
    let model = testdata("tiny-packed").display().to_string();
    let after = |context: &str, what: &[&str]| {
        let all = ["--model", &model, "--prompt-ids", program::PROMPT, "--nonlinear", "vector", "--context", context];
        sim(&[&all[..], &["--json", "-"], what].concat()).code(0).json()
    };
    let of = |what: &[&str]| after("4", what);
    let whole = of(&["--all-layers"]);
    assert_eq!(whole["forward"]["next_token"], 188, "the reference's next token");
    assert_eq!((&whole["model"]["tokens"], &whole["model"]["context"]), (&2.into(), &4.into()));
    let layers = [of(&["--layer", "0"]), of(&["--layer", "1"])];
    assert_eq!((&whole["nonlinear"]["layers"], &layers[0]["nonlinear"]["layers"]), (&2.into(), &1.into()));
    let head = &whole["nonlinear"]["head"];
    assert_eq!((&head["tokens"], &head["rows"], &head["mismatches"]), (&1.into(), &320.into(), &0.into()));
    assert!(layers[0]["nonlinear"].get("head").is_none(), "a layer has no output head");
    let number = |of: &serde_json::Value, key: &str| of["nonlinear"][key].as_u64().unwrap();
    let sum = |key: &str| layers.iter().map(|layer| number(layer, key)).sum::<u64>();
    assert_eq!(number(&whole, "elements"), sum("elements") + head["elements"].as_u64().unwrap());
    assert_eq!((number(&whole, "mismatches"), sum("mismatches")), (0, 0));
    let of_layers = |report: &serde_json::Value| number(report, "cycles") + number(report, "product_cycles");
    let all = of_layers(&whole) + head["cycles"][2].as_f64().unwrap() as u64;
    let token = whole["nonlinear"]["token"]["cycles"].as_u64().unwrap();
    assert!(all < token && token < all + 5_000, "a token of {token} cycles has parts of {all}");
    assert!(layers[0]["nonlinear"].get("token").is_none(), "a layer is no token");
    // The same on one model of core and units.
    let top = of(&["--all-layers", "--one-top"]);
    let tops = [&top, &whole].map(|report| report["nonlinear"]["simulation"]["top"].as_str());
    assert_eq!(tops, [Some("tmv_system"), None]);
    assert_eq!((number(&top, "mismatches"), &top["nonlinear"]["head"]["mismatches"]), (0, &0.into()));
    assert_eq!(number(&top, "elements"), number(&whole, "elements"));
    let on_top = top["nonlinear"]["token"]["cycles"].as_u64().unwrap();
    assert!(on_top.abs_diff(token) < token / 50, "a token of {on_top} cycles on one top, {token} otherwise");
    // One token's stream does not go through memory between layers.
    let [all, first, second] =
        [&["--all-layers"][..], &["--layer", "0"], &["--layer", "1"]].map(|what| of_layers(&after("5", what)));
    assert!(all + 300 < first + second, "{all} cycles, {first} and {second} one by one");
}

/// Generated tokens that both units choose too.
fn the_command_chooses_tokens() {
    let model = testdata("tiny-packed").display().to_string();
    let of = |what: &[&str]| {
        let all = ["generate", "--model", &model, "--prompt-ids", program::PROMPT, "--tokens", "8", "--head", "units"];
        sim(&[&all[..], &["--json", "-"], what].concat())
    };
    let report = of(&[]).code(0).json();
    let head = &report["head"];
    assert_eq!((&head["tokens"], &head["mismatches"], &head["lanes"]), (&8.into(), &0.into(), &32.into()));
    assert_eq!(report["verification"]["mismatches"], 0, "and the products of all passes");
    let alone = of(&["--device", "golden", "--board", "pynq-z2", "--dtype", "bf16"]).code(0).json();
    assert_eq!((&alone["head"]["lanes"], &alone["head"]["mismatches"]), (&8.into(), &0.into()));
    assert!(alone["verification"].is_null(), "the products are golden's");
    of(&["--head-margin", "0"]).code(2).says(&["expected 1 to 1000 standard deviations"]);
    of(&["--temperature", "1"]).code(2).says(&["--temperature: sampling needs all logits"]);
    of(&["--lanes", "8"]).code(2).says(&["--lanes 8: its port has 64 bits"]);
}

/// Checks a tensor against the reference: integers for equality, floats within 5e-5 of the rms of their row, as golden.
fn agrees(name: &str, found: &Elements, expected: &[u8], width: usize) {
    let words = expected.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    match found {
        Elements::F32(found) => {
            let want: Vec<f64> = words.map(|word| f32::from_bits(word).into()).collect();
            assert_eq!(found.len(), want.len(), "{name}");
            for (found, want) in found.chunks(width).zip(want.chunks(width)) {
                let rms = (want.iter().map(|want| want * want).sum::<f64>() / width as f64).sqrt();
                for (found, want) in found.iter().zip(want) {
                    let off = (f64::from(f32::from_bits(*found)) - want).abs();
                    assert!(off <= 5e-5 * rms, "{name}: {off:e} off, rms {rms:e}");
                }
            }
        }
        Elements::I32(found) => assert!(found.iter().map(|value| *value as u32).eq(words), "{name}"),
        Elements::I8(found) => assert!(found.iter().map(|value| *value as u8).eq(expected.iter().copied()), "{name}"),
    }
}

/// One sequence, on every device there is: the functional model, the simulated unit, and the unit beside the core.
fn one_sequence_on_every_device() {
    let case = Case::new(small(), 2, 3, Dtype::Bf16);
    let of_core = case.run(&mut case.system()).unwrap();
    case.check(&of_core, "on the core");
    let model = FunctionalDevice::new(case.unit.info(), case.memory.base, case.memory.bytes);
    assert_eq!(case.run_on(model), of_core.hidden, "the functional model");
    let library = testbench::model::build(&case.unit, Trace::Off, &mut |_| {}).unwrap();
    let context = VerilatedContext::default();
    let unit = VerilatedDevice::new(&library, &context, &case.unit, case.memory.clone()).unwrap();
    assert_eq!(case.run_on(unit), of_core.hidden, "the simulated unit");
}

/// A core with an FPU gets the same bits: its additions, multiplications, divisions and roots round as the library's.
fn a_core_with_an_fpu_equals_golden() {
    for (tokens, past, dtype) in [(1, 5, Dtype::Fp32), (3, 2, Dtype::Bf16)] {
        let case = Case::new(small(), tokens, past, dtype).on(Core::Cv32e40p);
        let output = case.run(&mut case.system()).unwrap();
        case.check(&output, &format!("{tokens} tokens after {past}, {dtype:?}"));
    }
}

fn a_stalling_memory_changes_no_bit() {
    let mut case = Case::new(small(), 2, 3, Dtype::Fp32);
    case.memory.stall = 100;
    case.memory.late_writes = true;
    case.memory.shy = true;
    let mut system = case.system();
    let output = case.run(&mut system).unwrap();
    case.check(&output, "with stalls");
}

/// While the core asks for nothing, its cycles are simulated in one go. A job takes as many cycles as if each were simulated by
/// itself, on a memory with refresh, with and without a vector unit; so does one that follows it.
fn runs_of_cycles_change_nothing() {
    let board = Board::find("kv260").unwrap();
    for mut case in [Case::new(small(), 1, 2, Dtype::Fp32), tiny(1, 33, Dtype::Bf16).on_vector(8)] {
        case.memory.timing = board.ddr_timing(DdrMode::Modelled, case.unit.ports, board.clock_mhz.value, 0.0);
        let (mut runs, mut single) = (case.system(), case.system());
        single.set_single_cycles();
        for job in ["first", "second"] {
            let [fast, slow] = [&mut runs, &mut single].map(|system| case.run(system).unwrap());
            case.check(&fast, job);
            assert_eq!(fast.steps, slow.steps, "{job} job");
            assert_eq!(runs.cycles(), single.cycles(), "{job} job");
        }
    }
}

fn a_narrow_port_changes_no_bit() {
    let mut case = Case::new(small(), 1, 3, Dtype::Fp32);
    case.unit.port_bits = 64;
    let mut system = case.system();
    let output = case.run(&mut system).unwrap();
    case.check(&output, "with 64 bits");
}

/// The weights may be anywhere in the first 4 GiB: the window moves there.
fn the_window_moves() {
    let mut case = Case::new(small(), 1, 0, Dtype::Fp32);
    case.memory.base = 0x3_6000_0000;
    let mut system = case.system();
    let output = case.run(&mut system).unwrap();
    case.check(&output, "far away");
}

/// A second job finds other data where the first one read. Without invalidation, the core computes with old data.
fn the_data_cache_is_invalidated() {
    let first = Case::new(small(), 1, 3, Dtype::Fp32);
    let second = Case::new(small(), 1, 2, Dtype::Fp32);
    let mut system = first.system();
    first.check(&first.run(&mut system).unwrap(), "first");
    second.check(&second.run(&mut system).unwrap(), "second");

    let mut stale = Case::new(small(), 1, 3, Dtype::Fp32);
    let words = stale.firmware.image.chunks_exact_mut(4).filter(|word| **word == INVALIDATE.to_le_bytes());
    let patched = words.map(|word| word.copy_from_slice(&NOP.to_le_bytes())).count();
    assert!(patched >= 2, "{patched} places invalidate the cache");
    let mut system = stale.system();
    let mut differs =
        |case: &Case| match soft_core::layer::run(&mut system, &stale.firmware, &case.stream(), &case.input(), true) {
            Ok(output) => case.mismatches(&output) > 0,
            Err(_) => true,
        };
    assert!(differs(&stale) || differs(&second), "no result depends on the invalidation");
}

/// Runs a job on firmware that `change` has changed. Returns its error.
fn fails(change: impl FnOnce(&mut Case)) -> Error {
    let mut case = Case::new(small(), 1, 2, Dtype::Fp32);
    change(&mut case);
    let mut system = case.system();
    system.set_patience(40_000_000);
    case.run(&mut system).unwrap_err()
}

fn a_trap_has_a_name() {
    let error = fails(|case| patch(case, "firmware::run::layer", &[0]));
    let text = error.to_string();
    assert!(matches!(error, Error::Trapped { .. }), "{text}");
    assert!(text.contains("illegal instruction") && text.contains("firmware::run::layer"), "{text}");
}

fn a_core_without_an_answer() {
    let mut case = Case::new(small(), 1, 2, Dtype::Fp32);
    patch(&mut case, "firmware::run::layer", &[STAY]);
    let mut system = case.system();
    system.set_patience(100_000);
    let text = case.run(&mut system).unwrap_err().to_string();
    assert!(text.contains("100") && text.contains("firmware::run::layer + "), "{text}");
}

fn a_stack_that_overflows() {
    let error = fails(|case| {
        // The first two instructions set the stack pointer; now to a place near the limit.
        let place = case.firmware.find("stack_limit").unwrap() + 512;
        let (upper, lower) = (place.wrapping_add(0x800) >> 12, place & 0xfff);
        let words = [upper << 12 | 0x137, lower << 20 | 0x10113];
        case.firmware.image[..8].copy_from_slice(&words.map(u32::to_le_bytes).concat());
    });
    assert!(error.to_string().contains("the stack grew into other memory"), "{error}");
}

fn errors_of_the_memory_have_names() {
    let port = 4;
    let error = fails(|case| case.memory.faults.read = Some((port, 40, ReadFault::Response(SLVERR))));
    assert!(matches!(error, Error::Bus { address, .. } if address >= map::WINDOW), "{error}");
    let error = fails(|case| case.memory.faults.read = Some((port, 40, ReadFault::FlipLast)));
    assert!(matches!(error, Error::Bus { .. }), "{error}");
    let error = fails(|case| {
        case.memory.faults.write_port = port;
        case.memory.faults.write = Some((20, WriteFault::Response(SLVERR)));
    });
    assert!(matches!(error, Error::Memory { .. }), "{error}");
}

/// The core's driver sees an error of the unit, and its text reaches the user.
fn an_error_of_the_unit_has_its_name() {
    let error = fails(|case| case.memory.faults.read = Some((1, 3, ReadFault::Response(SLVERR))));
    let text = error.to_string();
    assert!(text.contains("q_proj") && text.contains("READ_SLVERR") && text.contains("port 1"), "{text}");
}

fn values_that_are_not_finite_have_a_name() {
    let mut case = Case::new(small(), 1, 0, Dtype::Fp32);
    case.hidden[[0, 3]] = f32::NAN;
    let mut system = case.system();
    let text = case.run(&mut system).unwrap_err().to_string();
    assert!(text.contains("self_attn.q_proj") && text.contains("not finite"), "{text}");
}

fn registers_refuse_by_name() {
    let case = Case::new(small(), 1, 0, Dtype::Fp32);
    let mut system = case.system();
    let bad = |system: &mut soft_core::system::System| {
        let events = system.read(regs::IRQ_STATUS).unwrap();
        system.write(regs::IRQ_STATUS, events).unwrap();
        events & regs::IRQ_STATUS_BAD_ACCESS != 0
    };
    assert!(!bad(&mut system));
    // The core runs: its window and its memory belong to it.
    for (offset, value) in [
        (regs::ID, 0),
        (regs::STATUS, 0),
        (regs::CONTROL, 2),
        (regs::WINDOW, 1),
        (regs::RAM_ADDR, 2),
        (regs::RAM_DATA, 0),
        (regs::RESULT, 0),
        (regs::TRAP_PC, 0),
        (0x100, 0),
    ] {
        system.write(offset, value).unwrap();
        assert!(bad(&mut system), "{offset:#x}");
    }
    assert_eq!(system.read(0x100).unwrap(), 0);
    assert!(bad(&mut system), "a read of no register");
    // The image is intact, so the core still works. After a reset, so does another job.
    let output = case.run(&mut system).unwrap();
    case.check(&output, "after refusals");
    soft_core::layer::boot(&mut system, &case.firmware).unwrap();
    case.check(&case.run(&mut system).unwrap(), "after a reset");
}

/// A host that writes on-chip memory right after it stopped the core: each word is stored or refused, never dropped. An
/// assertion in the RTL sees a word that is not stored.
fn a_stop_loses_no_word() {
    let case = Case::new(small(), 1, 1, Dtype::Fp32);
    let mut system = case.system();
    let mut refusals = 0;
    for cycles in 0..40 {
        soft_core::layer::boot(&mut system, &case.firmware).unwrap();
        system.set_patience(5_000 + 397 * cycles);
        assert!(matches!(case.run(&mut system), Err(Error::NoAnswer { .. })));
        system.write(regs::CONTROL, 0).unwrap();
        let before = system.read(regs::RAM_ADDR).unwrap();
        system.write(regs::RAM_DATA, 0).unwrap();
        let advanced = system.read(regs::RAM_ADDR).unwrap() != before;
        let refused = system.read(regs::IRQ_STATUS).unwrap() & regs::IRQ_STATUS_BAD_ACCESS != 0;
        assert_ne!(advanced, refused, "stopped after {cycles} cycles");
        refusals += usize::from(refused);
        system.write(regs::IRQ_STATUS, regs::IRQ_STATUS_BAD_ACCESS).unwrap();
        // A job for a core that does not run is refused too.
        system.write(regs::JOB, 0).unwrap();
        assert!(system.read(regs::IRQ_STATUS).unwrap() & regs::IRQ_STATUS_BAD_ACCESS != 0);
        system.write(regs::IRQ_STATUS, regs::IRQ_STATUS_BAD_ACCESS).unwrap();
    }
    assert!(refusals > 0, "no access was in progress when the core stopped");
}

/// Answers that belong to no burst: the window reports them, and the core's accesses are right all the same.
fn the_window_takes_no_stray_answer() {
    let dir = rtl::dir();
    let files =
        ["axi/tmv_axi_pkg.sv", "system/tmv_sys_reg_pkg.sv", "system/tmv_sys_pkg.sv", "system/tmv_core_window.sv"];
    let waivers = dir.join("lint/sequencer_waiver.vlt");
    let mut spec = ModelSpec::new("tmv_core_window", [waivers].into_iter().chain(files.map(|file| dir.join(file))));
    spec.include_dirs.push(dir.join("prim"));
    let library = verilated::build(&spec, &mut |_| {}).unwrap();
    let mut window = Verilated::new(&library, &VerilatedContext::default()).unwrap();
    let set = |window: &mut Verilated, pins: &[(&str, u64)]| {
        pins.iter().for_each(|(name, value)| window.set(window.pin(name).unwrap(), *value));
    };
    let get = |window: &Verilated, name: &str| window.get(window.pin(name).unwrap());
    // A request: valid, write, address, words minus one, strobes.
    let request = |write: u64, address: u64, len: u64| 1 << 40 | write << 39 | address << 7 | len << 4 | 0xf;
    let beat = |window: &mut Verilated, first: u32| {
        let data: Vec<u8> = (first..first + 4).flat_map(u32::to_le_bytes).collect();
        window.set_wide(window.pin("m_axi_rdata").unwrap(), &data);
    };
    let inputs = ["req_i", "wdata_i", "window_i", "m_axi_arready", "m_axi_rvalid", "m_axi_rresp", "m_axi_rlast"];
    let more = ["m_axi_awready", "m_axi_wready", "m_axi_bvalid", "m_axi_bresp", "rst_ni"];
    inputs.iter().chain(&more).for_each(|name| set(&mut window, &[(name, 0)]));
    window.cycle().unwrap();
    set(&mut window, &[("rst_ni", 1)]);

    // Beats before a request, and while the address of a line waits.
    let mut faults = 0;
    let mut stray = |window: &mut Verilated| {
        beat(window, 900);
        set(window, &[("m_axi_rvalid", 1), ("m_axi_rlast", 1)]);
        window.eval().unwrap();
        faults += get(window, "fault_o");
        window.cycle().unwrap();
        set(window, &[("m_axi_rvalid", 0), ("m_axi_rlast", 0), ("req_i", 0)]);
    };
    stray(&mut window);
    set(&mut window, &[("req_i", request(0, 0x4000_0040, 7))]);
    window.cycle().unwrap();
    set(&mut window, &[("req_i", 0)]);
    stray(&mut window);
    stray(&mut window);
    set(&mut window, &[("m_axi_arready", 1)]);
    window.cycle().unwrap();
    set(&mut window, &[("m_axi_arready", 0)]);
    // The line itself, and a beat too many.
    let mut words = Vec::new();
    for cycle in 0..16 {
        let line = u64::from(cycle == 0 || cycle == 2);
        beat(&mut window, 4 * (cycle / 2));
        set(&mut window, &[("m_axi_rvalid", line), ("m_axi_rlast", u64::from(cycle == 2))]);
        if cycle == 4 {
            stray(&mut window);
            continue;
        }
        window.cycle().unwrap();
        let response = get(&window, "rsp_o");
        if response >> 33 & 1 != 0 {
            assert_eq!(response >> 32 & 1, 0, "no error");
            words.push(response as u32);
        }
    }
    set(&mut window, &[("m_axi_rvalid", 0)]);
    assert!(words.iter().all(|word| *word < 8), "{words:?}: no word of a stray beat");
    assert_eq!(faults, 4, "every stray beat is reported");

    // A response before the write has left is none: the write stays, and a read waits for its own response.
    set(&mut window, &[("req_i", request(1, 0x4000_0104, 0)), ("wdata_i", 77)]);
    window.cycle().unwrap();
    set(&mut window, &[("req_i", 0), ("m_axi_bvalid", 1)]);
    window.eval().unwrap();
    assert_eq!(get(&window, "fault_o"), 1, "a response to a write that has not left");
    window.cycle().unwrap();
    set(&mut window, &[("m_axi_bvalid", 0)]);
    assert_eq!((get(&window, "quiet_o"), get(&window, "m_axi_awvalid"), get(&window, "m_axi_wvalid")), (0, 1, 1));
    assert_eq!((get(&window, "m_axi_awaddr"), get(&window, "m_axi_wstrb")), (0x100, 0xf0));
    set(&mut window, &[("m_axi_awready", 1), ("m_axi_wready", 1)]);
    window.cycle().unwrap();
    set(&mut window, &[("m_axi_awready", 0), ("m_axi_wready", 0), ("m_axi_bvalid", 1)]);
    window.eval().unwrap();
    assert_eq!(get(&window, "fault_o"), 0, "the write's own response");
    window.cycle().unwrap();
    assert_eq!(get(&window, "quiet_o"), 1);
}

/// A reset in the middle of a job: the core begins anew, and nothing of the old job disturbs it.
fn a_reset_in_the_middle() {
    let case = Case::new(small(), 1, 1, Dtype::Fp32);
    for cycles in [1_000, 33_333, 77_777, 150_001] {
        let mut system = case.system();
        system.set_patience(cycles);
        assert!(matches!(case.run(&mut system), Err(Error::NoAnswer { .. })));
        system.set_patience(40_000_000);
        soft_core::layer::boot(&mut system, &case.firmware).unwrap();
        case.check(&case.run(&mut system).unwrap(), &format!("reset after {cycles} cycles"));
    }
}

/// A core that was stopped rests when nothing of it is in flight: the host may then use its memory for something else.
fn a_core_at_rest_has_nothing_in_flight() {
    let mut case = Case::new(small(), 1, 1, Dtype::Fp32);
    case.memory.stall = 200;
    case.memory.late_writes = true;
    case.memory.shy = true;
    case.memory.timing = zynq_memory::Timing::ideal(40);
    let port = case.unit.ports;
    let mut system = case.system();
    for cycles in 0..40 {
        system.set_patience(20_000 + 397 * cycles);
        assert!(matches!(case.run(&mut system), Err(Error::NoAnswer { .. })));
        system.write(regs::CONTROL, 0).unwrap();
        while system.read(regs::STATUS).unwrap() & regs::STATUS_RUNNING != 0 {}
        assert!(system.memory().is_idle(port), "try {cycles}");
        soft_core::layer::boot(&mut system, &case.firmware).unwrap();
    }
}

/// A core does not start over an access of its last run: here one that memory never answers.
fn a_core_waits_for_its_last_access() {
    for write in [false, true] {
        let case = Case::new(small(), 1, 1, Dtype::Fp32);
        let mut system = case.system();
        let (port, starved) = (case.unit.ports, system.cycles() + 30_000);
        let faults = system.memory().faults();
        if write {
            (faults.write_port, faults.starve_write) = (port, Some(starved));
        } else {
            faults.starve_read_data = Some((port, starved));
        }
        system.set_patience(60_000);
        assert!(matches!(case.run(&mut system), Err(Error::NoAnswer { .. })));
        system.write(regs::CONTROL, 0).unwrap();
        (0..100).for_each(|_| system.step().unwrap());
        assert_ne!(system.read(regs::STATUS).unwrap() & regs::STATUS_RUNNING, 0, "write: {write}");
        let reset = system.pc();
        system.write(regs::CONTROL, regs::CONTROL_RUN).unwrap();
        for _ in 0..1_000 {
            system.step().unwrap();
            assert_eq!(system.pc(), reset, "the core runs; write: {write}");
        }
    }
}

fn a_cache_of_keys_keeps_its_old_rows() {
    let case = Case::new(small(), 2, 4, Dtype::Fp32);
    let fresh = KvCache::new();
    assert_ne!(case.before.tokens(), fresh.tokens());
    let mut system = case.system();
    let output = case.run(&mut system).unwrap();
    case.check(&output, "with a cache");
}

const COMMAND: [&str; 6] = ["--layer", "14", "--nonlinear", "soft-core", "--tokens", "1"];

/// The command on a checkpoint: a line for each operator, and the same in the JSON.
fn the_command_reports_every_operator() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let model = testdata("tiny-packed").display().to_string();
    let arguments = ["--layer", "1", "--model", &model, "--prompt-ids", program::PROMPT, "--nonlinear", "soft-core"];
    let ran = sim(&[&arguments[..], &["--core-mhz", "50", "--json", file.to_str().unwrap()]].concat()).code(0);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let nonlinear = &report["nonlinear"];
    assert_eq!(nonlinear["on"], "soft-core");
    assert_eq!((&nonlinear["mismatches"], &nonlinear["context"]), (&0.into(), &0.into()));
    let operators = nonlinear["operators"].as_array().unwrap();
    assert_eq!(operators.len(), decoder::Step::ALL.len());
    for operator in operators {
        let (cycles, elements) = (operator["cycles"].as_u64().unwrap(), operator["elements"].as_u64().unwrap());
        assert!(cycles > 5 * elements, "{operator}: no core is that fast");
        assert!((operator["ms"].as_f64().unwrap() * 50e3 - cycles as f64).abs() < 1e-3, "{operator}");
        assert!(ran.out.contains(operator["name"].as_str().unwrap()), "{ran}");
    }
    let sum: u64 = operators.iter().map(|operator| operator["cycles"].as_u64().unwrap()).sum();
    assert_eq!(nonlinear["cycles"], sum);
    assert_eq!(report["totals"]["mismatches"], 0);
}

/// The waveform is the core's, of as many cycles of the layer as were asked for.
fn the_command_records_the_core() {
    let folder = tempfile::tempdir().unwrap();
    let wave = folder.path().join("core.vcd");
    let model = testdata("tiny-packed").display().to_string();
    let mut arguments =
        vec!["--layer", "1", "--model", &model, "--prompt-ids", program::PROMPT, "--nonlinear", "vector"];
    arguments.extend(["--trace", wave.to_str().unwrap(), "--trace-cycles", "2000"]);
    sim(&arguments).code(0);
    let wave = std::fs::read_to_string(&wave).unwrap();
    assert!(wave.contains("u_core") && wave.contains("pc_o"), "{}", wave.lines().take(40).collect::<String>());
    // The program counter of a core at work takes many values.
    let name = wave.lines().find(|line| line.contains(" pc_o ")).unwrap().split_whitespace().nth(3).unwrap();
    let values = wave.lines().filter(|line| line.starts_with('b') && line.ends_with(&format!(" {name}"))).count();
    assert!((50..=2_001).contains(&values), "{values} values of the program counter");
}

/// Ctrl-C while the core runs: the products that were verified before are reported.
fn the_command_reports_what_it_verified() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    for seconds in [2, 4, 8, 16, 32] {
        let mut command = program::program();
        command.args(COMMAND).arg("--json").arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_secs(seconds));
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let ran = program::Ran::new("sim, kill -INT".into(), &child.wait_with_output().unwrap()).code(130);
        // The products take a moment, the core takes minutes.
        if ran.err.contains("interrupted: 4 of 4 runs verified; partial report written; the core did not end") {
            let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            assert_eq!((&report["complete"], &report["nonlinear"]), (&false.into(), &serde_json::Value::Null));
            assert_eq!(report["operators"].as_array().unwrap().len(), 7);
            return;
        }
    }
    panic!("the core was never interrupted");
}

fn options_that_do_not_go_together() {
    for (more, why) in [
        (&["--op", "q_proj"][..], "--op"),
        (&["--shard", "1/2"], "--shard"),
        (&["--journal", "j"], "--journal"),
        (&["--core-mhz", "5"], "--core-mhz"),
        (&["--context", "4096"], "4096"),
        (&["--skip-zeros"], "--skip-zeros"),
        (&["--one-top"], "--one-top"),
    ] {
        sim(&[&COMMAND[..], more].concat()).code(2).says(&[why]);
    }
    sim(&["--all-layers", "--nonlinear", "soft-core"]).code(2).says(&["--all-layers"]);
    let model = testdata("tiny-packed").display().to_string();
    let prompt = ["--layer", "0", "--model", &model, "--prompt-ids", program::PROMPT];
    sim(&[&prompt[..], &["--context", "6"]].concat()).code(2).says(&["--context 6", "6 ids"]);
    sim(&[&prompt[..], &["--context", "4", "--tokens", "3"]].concat()).code(2).says(&["6 ids, expected 7"]);
}

/// A machine without the target gets a hint, and nothing of cargo.
fn a_machine_without_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let rustc = folder.path().join("rustc");
    let nowhere = folder.path().join("nowhere");
    let script = format!("#!/bin/sh\ncase \"$*\" in *print*) echo {};; *) echo rustc 1.0;; esac\n", nowhere.display());
    std::fs::write(&rustc, script).unwrap();
    Command::new("chmod").arg("+x").arg(&rustc).status().unwrap();
    let output = program::program().args(COMMAND).env("RUSTC", &rustc).output().unwrap();
    let ran = program::Ran::new("sim, without the target".into(), &output).code(4);
    ran.says(&["rustup target add riscv32im-unknown-none-elf"]);
}
