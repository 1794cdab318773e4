//! Model folders: which files decide the generated tokens, and what the user reads about files that do not fit.
#![allow(clippy::unwrap_used)]

mod program;

use std::fs;

use program::{Folder, PROMPT, Ran, sim, testdata};
use serde_json::{Value, json};

/// The tokens that follow [`PROMPT`] in the tiny model.
const GREEDY: [u32; 8] = [188, 194, 31, 142, 93, 241, 36, 30];

fn on_ids(folder: &Folder, more: &[&str]) -> Ran {
    folder.generate(&[&["--prompt-ids", PROMPT, "--json", "-"], more].concat())
}

#[test]
fn a_generation_ends_at_the_tokens_of_both_configurations() {
    let with =
        |eos: Value| Folder::packed().json("generation_config.json", |file| *file = json!({"eos_token_id": eos}));
    for (eos, generated) in [(json!([7, 31]), 3), (json!(142), 4), (json!(null), 8), (json!([]), 8)] {
        let report = on_ids(&with(eos.clone()), &[]).code(0).json();
        assert_eq!(report["generated_ids"], json!(GREEDY[..generated]), "{eos}");
        assert_eq!(report["stopped"], generated < 8, "{eos}");
    }
    // A token of config.json also ends the text if generation_config.json names others.
    let folder = with(json!([31, 319])).json("config.json", |config| config["eos_token_id"] = json!([194, 319]));
    let report = on_ids(&folder, &[]).code(0).json();
    assert_eq!(report["generated_ids"], json!(GREEDY[..2]));
    let stops = json!([
        {"id": 194, "from": ["config.json"]},
        {"id": 319, "from": ["config.json", "generation_config.json"]},
        {"id": 31, "from": ["generation_config.json"]},
    ]);
    assert_eq!(report["stop_tokens"], stops);
    let text = folder.generate(&["--prompt-ids", PROMPT]).code(0);
    let line = "Tokens that end the text: 194 (config.json); 319 (config.json, generation_config.json); \
                31 (generation_config.json)\n";
    assert!(text.out.contains(line), "{text}");

    let all = on_ids(&folder, &["--ignore-eos"]).code(0).json();
    assert_eq!((&all["generated_ids"], &all["stop_tokens"]), (&json!(GREEDY), &json!([])));
    let text = folder.generate(&["--prompt-ids", PROMPT, "--ignore-eos"]).code(0);
    assert!(text.out.contains("No token ends the text\n"), "{text}");
}

#[test]
fn a_broken_generation_config_is_an_error_unless_it_is_not_needed() {
    for (content, message) in [
        ("{", "generation_config.json: not valid JSON"),
        ("[]", "generation_config.json: key \"(root)\": expected an object, found []"),
        ("{\"eos_token_id\": \"x\"}", "generation_config.json: key \"eos_token_id\": invalid type: string \"x\""),
        ("{\"eos_token_id\": [1, -1]}", "generation_config.json: key \"eos_token_id[1]\": invalid value: integer `-1`"),
    ] {
        let folder = Folder::packed().write("generation_config.json", content);
        on_ids(&folder, &[]).code(3).says(&[message]);
        let ran = on_ids(&folder, &["--ignore-eos"]).code(0).says(&["remark: ", message, "--ignore-eos"]);
        assert_eq!(ran.json()["generated_ids"], json!(GREEDY), "{ran}");
        let model = folder.path().display().to_string();
        sim(&["--layer", "0", "--model", &model, "--dry-run"]).code(0);
    }
}

#[test]
fn settings_of_a_generation_that_are_not_used_are_listed() {
    let folder = Folder::packed().json("generation_config.json", |file| {
        *file = json!({
            "_from_model_config": true, "bos_token_id": 318, "eos_token_id": 319, "transformers_version": "4.52",
            "do_sample": true, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": null,
        });
    });
    let remark = "generation_config.json: keys not used: do_sample, temperature, top_p; --temperature";
    let ran = on_ids(&folder, &[]).code(0).says(&[&format!("remark: {remark}")]);
    let remarks = ran.json()["remarks"].clone();
    assert!(remarks.as_array().unwrap().len() == 1 && remarks[0].as_str().unwrap().starts_with(remark), "{ran}");
    let text = folder.generate(&["--prompt-ids", PROMPT]).code(0);
    assert!(text.out.contains(&format!("Remark: {remark}")), "{text}");
}

/// The end of a turn comes from the template and from the tokenizer, although `config.json` names another token.
#[test]
fn a_chat_ends_with_the_turn() {
    let folder = Folder::text().json("config.json", |config| config["eos_token_id"] = json!(5));
    let stops = |folder: &Folder, more: &[&str]| {
        let ran = folder.generate(&[&["--prompt", "Hi", "--tokens", "1", "--json", "-"], more].concat()).code(0);
        let report = ran.json();
        let tokens = report["stop_tokens"].as_array().unwrap().iter();
        tokens.map(|token| token["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(stops(&folder, &[]), [5]);
    assert_eq!(stops(&folder, &["--chat"]), [5, 319]);
    // The tokenizer names no token, so that only the template shows the end of the turn.
    let folder = folder.json("tokenizer_config.json", |config| config["eos_token"] = Value::Null);
    assert_eq!(stops(&folder, &["--chat"]), [5, 319]);
}

/// A key that makes some linears dense is refused, and so is a tensor of another arithmetic.
#[test]
fn other_arithmetic_is_refused() {
    let folder = Folder::packed().json("config.json", |config| {
        config["quantization_config"]["modules_to_not_convert"] = json!(["k_proj"]);
    });
    on_ids(&folder, &[]).code(3).says(&[
        "config.json: key \"quantization_config.modules_to_not_convert\": expected null or [\"lm_head\"]",
        "found [\"k_proj\"]",
    ]);
}

#[test]
fn files_and_keys_that_are_not_used_are_in_every_report() {
    let index = "model.safetensors.index.json";
    let folder = Folder::packed().json("config.json", |config| config["flavour"] = json!(1)).write(index, "{}");
    let remarks = [
        "config.json: 1 key not used: flavour; this program does not know them".to_owned(),
        format!("1 file not used: {index}; model.safetensors decides which weights are read"),
    ];
    let told = remarks.each_ref().map(|remark| format!("remark: {remark}\n"));
    let model = folder.path().display().to_string();
    let layer = ["--layer", "0", "--model", &model, "--op", "k_proj", "--prompt-ids", "1"];
    for ran in [on_ids(&folder, &[]), sim(&[&layer[..], &["--json", "-"]].concat())] {
        let ran = ran.code(0).says(&told.each_ref().map(String::as_str));
        assert_eq!(ran.json()["remarks"], json!(remarks), "{ran}");
    }
    for ran in [folder.generate(&["--prompt-ids", "1"]), sim(&layer)] {
        assert!(remarks.iter().all(|remark| ran.out.contains(&format!("Remark: {remark}\n"))), "{ran}");
    }
}

/// A matrix of zeros is no mismatch, but no success either.
#[test]
fn matrices_of_zeros_are_told_and_reported() {
    let folder = Folder::packed().tensors(|name, bytes| {
        if name.starts_with("model.layers.0.mlp.") && name.ends_with("proj.weight") {
            bytes.fill(0b01_01_01_01);
        }
    });
    let remark = "weights that no trained model has: all values are zero: mlp.gate_proj, mlp.up_proj, mlp.down_proj of \
                  layer 0; are the files intact?";
    let model = folder.path().display().to_string();
    let layer = ["--layer", "1", "--model", &model, "--op", "k_proj", "--prompt-ids", "1"];
    for ran in [on_ids(&folder, &[]), sim(&[&layer[..], &["--json", "-"]].concat())] {
        let ran = ran.code(0).says(&[&format!("remark: {remark}\n")]);
        assert_eq!(ran.err.matches("remark: ").count(), 1, "{ran}");
        assert_eq!(ran.json()["remarks"], json!([remark]), "{ran}");
    }
    for ran in [folder.generate(&["--prompt-ids", "1"]), sim(&layer)] {
        assert!(ran.out.contains(&format!("Remark: {remark}\n")), "{ran}");
    }
}

/// A prompt without tokens is refused; a prompt that was not given is invented.
#[test]
fn an_empty_prompt_is_not_an_absent_one() {
    let folder = Folder::text();
    let prompt = |ran: &Ran| ran.json()["model"]["prompt_ids"].clone();
    assert_eq!(prompt(&folder.generate(&["--prompt", "", "--tokens", "1", "--json", "-"]).code(0)), json!([318]));
    assert_eq!(prompt(&folder.generate(&["--tokens", "1", "--json", "-"]).code(0)).as_array().unwrap().len(), 3);
    let folder = folder.json("config.json", |config| config["bos_token_id"] = Value::Null);
    let ran = folder.generate(&["--prompt", "", "--tokens", "1"]).code(2);
    assert!(ran.says(&["--prompt: the text is empty, and the model has no BOS token; give a text"]).out.is_empty());
    let folder = folder.write("chat_template.jinja", "");
    let ran = folder.generate(&["--prompt", "Hi", "--chat"]).code(2);
    assert!(ran.says(&["--chat: the chat template makes no text of this prompt"]).out.is_empty());
    let model = folder.path().display().to_string();
    for ids in ["", ",", "1,"] {
        folder.generate(&["--prompt-ids", ids]).code(2).says(&["--prompt-ids", "invalid value ''"]);
        sim(&["--layer", "0", "--model", &model, "--prompt-ids", ids]).code(2).says(&["--prompt-ids"]);
    }
    sim(&["generate", "--model", ""]).code(2).says(&["--model"]);
}

#[test]
fn a_prompt_begins_with_one_bos_token() {
    let folder = Folder::text();
    let ids = |folder: &Folder, more: &[&str]| {
        let ran = folder.generate(&[more, &["--tokens", "1", "--json", "-"]].concat()).code(0);
        ran.json()["model"]["prompt_ids"].clone()
    };
    let bos = "<|begin_of_text|>";
    assert_eq!(ids(&folder, &["--prompt", "a"]), json!([318, 97]));
    assert_eq!(ids(&folder, &["--prompt", &format!("{bos}a")]), json!([318, 97]));
    let folder = folder.write("chat_template.jinja", "{{ bos_token }}{{ messages[0].content }}{{ bos_token }}");
    assert_eq!(ids(&folder, &["--chat", "--prompt", &format!("{bos}a")]), json!([318, 97, 318]));

    // The configuration decides; a tokenizer with another opinion is a remark.
    let folder = folder.json("config.json", |config| config["bos_token_id"] = json!(7));
    assert_eq!(ids(&folder, &["--prompt", "a"]), json!([7, 97]));
    folder.generate(&["--prompt", "a"]).code(0).says(&[
        "remark: tokenizer.json begins a prompt with the tokens [318], not used; bos_token_id of config.json: [7]",
    ]);
}

/// A tokenizer that cannot be used stops a text, but not token ids.
#[test]
fn token_ids_need_no_tokenizer() {
    for (file, content, message) in [
        ("tokenizer.json", "{", "tokenizer.json: not valid JSON"),
        ("tokenizer.json", "{}", "tokenizer.json: cannot load this tokenizer"),
    ] {
        let folder = Folder::text().write(file, content);
        let ran = on_ids(&folder, &[]).code(0).says(&["remark: ", message, "; tokens are shown as ids"]);
        assert_eq!((&ran.json()["generated_ids"], &ran.json()["text"]), (&json!(GREEDY), &Value::Null), "{ran}");
        folder.generate(&["--prompt", "Hi"]).code(3).says(&[message]);
    }
    // Only a chat needs these files.
    for file in ["tokenizer_config.json", "special_tokens_map.json"] {
        let folder = Folder::text().write(file, "{");
        folder.generate(&["--prompt", "Hi"]).code(0);
        folder.generate(&["--prompt", "Hi", "--chat"]).code(3).says(&[file, "not valid JSON"]);
    }
}

#[test]
fn prompts_that_look_like_options() {
    let folder = Folder::text();
    for prompt in ["-5 + 3", "--", "-h"] {
        let ran = folder.generate(&["--prompt", prompt, "--tokens", "1", "--json", "-"]).code(0);
        let command = ran.json()["command"].as_str().unwrap().to_owned();
        assert!(shlex::split(&command).unwrap().iter().any(|word| word == prompt), "{command}");
    }
    let refused = folder.generate(&["--chat", "--prompt-ids", "1,2"]).code(2);
    refused.says(&["'--chat' cannot be used with '--prompt-ids <IDS>'"]);
    folder.generate(&["--chat"]).code(2).says(&["--prompt"]);
    folder.generate(&["--temperature", "-1"]).code(2).says(&["temperature: expected"]);
}

/// The command in a report can be run again, whatever the names of the files are.
#[test]
fn the_command_in_a_report_is_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("it's a --seed 7 model");
    std::os::unix::fs::symlink(testdata("tiny-packed"), &model).unwrap();
    let arguments = ["--layer", "0", "--model", model.to_str().unwrap(), "--op", "k_proj", "--json", "-"];
    let command = sim(&arguments).code(0).json()["command"].as_str().unwrap().to_owned();
    let words = shlex::split(&command).unwrap();
    assert_eq!(words[1..], [&arguments[..], &["--seed", "1"]].concat());
}

/// What a user may give in place of a model folder, or have in it.
#[test]
fn messages_say_what_the_user_has() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 61500\n";
    let refused = |model: &std::path::Path, texts: &[&str]| {
        let model = model.display().to_string();
        for arguments in [&["--layer", "0", "--model", &model][..], &["generate", "--model", &model]] {
            assert!(sim(arguments).code(3).says(texts).out.is_empty());
        }
    };
    let folder = Folder::packed().write("model.safetensors", pointer);
    refused(
        folder.path(),
        &["model.safetensors: a Git LFS pointer, not the file of 61500 bytes itself", "git lfs pull"],
    );
    refused(&folder.path().join("model.safetensors"), &["a Git LFS pointer"]);
    refused(&folder.path().join("config.json"), &["config.json: a file, not a folder; give its folder, "]);
    refused(&folder.path().join("nowhere"), &["nowhere: no such folder; give the folder of a Hugging Face checkpoint"]);
    let llama = Folder::packed().json("config.json", |config| config["model_type"] = json!("llama"));
    refused(
        llama.path(),
        &["key \"model_type\": expected \"bitnet\", found \"llama\"", "microsoft/bitnet-b1.58-2B-4T-bf16"],
    );
}

/// A tokenizer in the snapshot of a hub's cache folder is found too.
#[test]
fn the_cache_folder_of_a_hub_is_resolved() {
    let dir = tempfile::tempdir().unwrap();
    let snapshot = dir.path().join("snapshots/0a1b");
    fs::create_dir_all(&snapshot).unwrap();
    let folder = Folder::text();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), snapshot.join(entry.file_name())).unwrap();
    }
    let model = dir.path().display().to_string();
    let ran =
        sim(&["generate", "--device", "golden", "--model", &model, "--prompt", "a", "--tokens", "1", "--json", "-"]);
    let report = ran.code(0).json();
    assert_eq!(report["model"]["prompt_ids"], json!([318, 97]));
    assert!(report["model"]["description"].as_str().unwrap().contains("snapshots/0a1b"));
}
