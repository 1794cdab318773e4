//! Tokenizer and chat templates: the tiny tokenizer in both directions, rendered prompts, and faulty files of all
//! kinds.
//!
//! `TMV_UPDATE_TOKENIZER=1 cargo test -p bitnet --test text` writes `testdata/tiny-tokenizer` again.
#![cfg(feature = "text")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use bitnet::config::ModelConfig;
use bitnet::text::{Message, Role, Tokenizer};
use bitnet::{Error, ErrorKind};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const BOS: u32 = 318;
const EOT: u32 = 319;

/// Pairs of tokens that are merged to tokens 256 to 317. They are written in the letters of byte-level BPE, which
/// stand for bytes: `Ġ` is a space, `Ċ` a line feed. The pairs in the last row are bytes of multi-byte characters.
const MERGES: &[&str] = &[
    "Ġ t", "h e", "Ġ a", "i n", "r e", "o n", "Ġt he", "e r", "Ġ s", "a t", "Ġ w", "Ġ o", "e n", "Ġ c", "i t", "i s",
    "a n", "o r", "e s", "Ġ b", "e d", "Ġ f", "in g", "Ġ p", "o u", "Ġa n", "a l", "a r", "Ġt o", "Ġ m", "Ġo f",
    "Ġ in", "Ġ d", "Ġ h", "Ġan d", "i c", "a s", "l e", "Ġt h", "i on", "o m", "l l", "en t", "Ġ n", "Ġ l", "s t",
    "Ġ re", "v e", "Ġ e", "r o", "l y", "Ġb e", "Ġ g", "U s", "Us er", "A s", "As s", "Ċ Ċ", //
    "Ã ©", "ð Ł", "ðŁ ĺ", "â Ĥ",
];

/// The published template of BitNet b1.58 2B-4T.
const PUBLISHED: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = \
    message['role'] | capitalize + ': '+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set \
    content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' \
    }}{% endif %}";

/// The letter of byte-level BPE for a byte: the byte itself if it is visible, otherwise the next free character from
/// U+0100.
fn letter(byte: u8) -> char {
    let visible = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let hidden = (0..byte).filter(|b| !visible(*b)).count() as u32;
    if visible(byte) { byte.into() } else { char::from_u32(0x100 + hidden).unwrap() }
}

/// The two files of `testdata/tiny-tokenizer`, with the structure of the tokenizer of 2B-4T. Token ids below 256 are
/// the bytes.
fn tiny() -> [(&'static str, Value); 2] {
    let mut vocab: Map<_, _> = (0..=255).map(|b| (letter(b).to_string(), json!(b))).collect();
    let merged = MERGES.iter().zip(256..).map(|(pair, id)| (pair.replace(' ', ""), json!(id)));
    vocab.extend(merged);
    assert_eq!(vocab.len(), BOS as usize);
    let special = |id: u32, content: &str| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    let words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let bos = json!({"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}});
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(BOS, "<|begin_of_text|>"), special(EOT, "<|eot_id|>")],
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": false},
            bytes,
        ]},
        "post_processor": {"type": "TemplateProcessing", "single": [bos, text], "pair": [bos, text, bos, text],
            "special_tokens": {"<|begin_of_text|>":
                {"id": "<|begin_of_text|>", "ids": [BOS], "tokens": ["<|begin_of_text|>"]}}},
        "decoder": bytes,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
            "vocab": vocab, "merges": MERGES,
        },
    });
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": {"content": "<|begin_of_text|>", "special": true},
        "eos_token": "<|eot_id|>",
        "chat_template": PUBLISHED,
    });
    [("tokenizer.json", tokenizer), ("tokenizer_config.json", config)]
}

fn committed() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../..", "testdata", "tiny-tokenizer"].iter().collect()
}

fn open() -> Tokenizer {
    Tokenizer::open(&committed()).unwrap().unwrap()
}

/// A temporary folder with the tiny tokenizer, which a test may change.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for (name, value) in tiny() {
            fs::write(dir.path().join(name), value.to_string()).unwrap();
        }
        Self(dir)
    }

    fn write(self, file: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.0.path().join(file), content).unwrap();
        self
    }

    fn config(self, config: Value) -> Self {
        self.write("tokenizer_config.json", config.to_string())
    }

    fn edit(self, edit: impl FnOnce(&mut Value)) -> Self {
        let [(name, mut tokenizer), _] = tiny();
        edit(&mut tokenizer);
        self.write(name, tokenizer.to_string())
    }

    fn remove(self, file: &str) -> Self {
        fs::remove_file(self.0.path().join(file)).unwrap();
        self
    }

    fn open(&self) -> Result<Option<Tokenizer>, Error> {
        Tokenizer::open(self.0.path())
    }

    fn chat(&self) -> Result<String, Error> {
        self.open()?.unwrap().chat(&[Message::new(Role::User, "Hi")], true)
    }
}

/// Checks that the error blames an input file, and that its message contains the file name and all `parts`.
#[track_caller]
fn blames<T>(result: Result<T, Error>, file: &str, parts: &[&str]) {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), ErrorKind::InputFile, "{error}");
    let message = error.to_string();
    for part in parts.iter().chain([&file]) {
        assert!(message.contains(part), "\"{message}\" says {part}");
    }
}

#[test]
fn committed_files_are_current() {
    for (name, value) in tiny() {
        let path = committed().join(name);
        let text = format!("{value:#}\n");
        if std::env::var_os("TMV_UPDATE_TOKENIZER").is_some() {
            fs::create_dir_all(committed()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "{name} is stale: TMV_UPDATE_TOKENIZER=1 cargo test -p bitnet --test text");
    }
}

#[test]
fn known_ids() {
    let tokenizer = open();
    let ids = |text: &str| tokenizer.encode(text).unwrap();
    assert!(ids("").is_empty());
    assert_eq!(ids("User: "), [310, 58, 32]);
    assert_eq!(ids(" the€"), [262, 317, 0xac]);
    assert_eq!(ids("\u{e9}\u{1f600}"), [314, 316, 0x80]);
    // Special tokens are recognised where they are written out, and none is added.
    assert_eq!(ids("<|begin_of_text|>a<|eot_id|><|eot_id|>"), [BOS, 97, EOT, EOT]);
    assert_eq!(ids("<|eot_id>").len(), 9);
    assert_eq!(tokenizer.decode(&[BOS, 310, EOT]).unwrap(), "<|begin_of_text|>User<|eot_id|>");
    // A byte that is not UTF-8, and ids without a token.
    assert_eq!(tokenizer.decode(&[0xff, 97, 320, u32::MAX]).unwrap(), "\u{fffd}a");
}

#[test]
fn ids_beyond_the_model_are_found() {
    let mut config = ModelConfig::bitnet_2b_4t();
    config.vocab_size = EOT as usize;
    let ids = open().encode("a<|eot_id|>").unwrap();
    let message = config.check_tokens(&ids).unwrap_err().to_string();
    assert_eq!(message, "token 319 at position 1 is out of range: the vocabulary has ids 0 to 318");
}

#[test]
fn truncation_and_padding_are_ignored() {
    let folder = Folder::new().edit(|tokenizer| {
        tokenizer["truncation"] =
            json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
        tokenizer["padding"] = json!({"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "!"});
    });
    assert_eq!(folder.open().unwrap().unwrap().encode("1 2 3").unwrap().len(), 5);
}

/// Ordinary text, and text that is difficult for a tokenizer.
fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<char>().prop_map(String::from),
        "[ -~]{0,8}",
        "\\PC{0,4}",
        "[\\s\u{fffd}\u{0}]{0,4}",
        Just("<|eot_id|>".to_owned()),
        Just("<|begin".to_owned()),
        Just("👩‍👩‍👧 naïve €5 ".to_owned()),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// The pieces of text that a stream returns.
fn pieces(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    let mut stream = tokenizer.stream();
    let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    pieces.push(stream.finish().unwrap());
    pieces
}

proptest! {
    #[test]
    fn there_and_back(text in any_text()) {
        let tokenizer = open();
        let ids = tokenizer.encode(&text).unwrap();
        prop_assert!(ids.iter().all(|&id| id <= EOT));
        prop_assert_eq!(&tokenizer.decode(&ids).unwrap(), &text);
        prop_assert_eq!(pieces(&tokenizer, &ids).concat(), text);
    }

    #[test]
    fn a_stream_gives_what_decode_gives(ids in prop::collection::vec(prop_oneof![0..340u32, 0x80..0x100u32], 0..64)) {
        let tokenizer = open();
        prop_assert_eq!(pieces(&tokenizer, &ids).concat(), tokenizer.decode(&ids).unwrap());
    }

    #[test]
    fn damaged_files_do_not_panic(at in any::<Index>(), with in prop_oneof![Just(None), any::<u8>().prop_map(Some)]) {
        for (name, value) in tiny() {
            let mut bytes = value.to_string().into_bytes();
            let at = at.index(bytes.len());
            match with {
                Some(byte) => bytes[at] = byte,
                None => bytes.truncate(at),
            }
            let folder = Folder::new().write(name, bytes);
            match folder.chat().and_then(|_| folder.open()) {
                Err(error) => prop_assert!(error.is_input_file() && error.to_string().contains(name), "{error}"),
                Ok(tokenizer) => {
                    prop_assert!(with.is_some(), "{name} cut at {at} was accepted");
                    let tokenizer = tokenizer.unwrap();
                    let _ = tokenizer.turn_ends();
                    let _ = tokenizer.encode("The user's 12345 naïve €5\n\n <|eot_id|>").map(|ids| tokenizer.decode(&ids));
                }
            }
        }
    }
}

#[test]
fn a_stream_never_gives_half_a_character() {
    let tokenizer = open();
    let ids = [0xf0, 0x9f, 0x98, 0x80, 97, 316, 0x81, 0xc3, 98, 0xff, 0xe2];
    let expected = ["", "", "", "😀", "a", "", "😁", "", "\u{fffd}b", "", "\u{fffd}", "\u{fffd}"];
    assert_eq!(pieces(&tokenizer, &ids), expected);
    assert_eq!(pieces(&tokenizer, &[]), [""]);
}

/// Some decoders drop the space before the first word. They need the previous token to know which word is the first.
#[test]
fn a_stream_keeps_spaces_between_words() {
    let folder = Folder::new().edit(|tokenizer| {
        tokenizer["decoder"] =
            json!({"type": "Metaspace", "replacement": "Ġ", "prepend_scheme": "always", "split": true});
    });
    let tokenizer = folder.open().unwrap().unwrap();
    assert_eq!(pieces(&tokenizer, &[262, 256, 262]), ["the", " t", " the", ""]);
}

#[test]
fn chats() {
    let message = Message::new;
    let chat = [
        message(Role::System, " Be brief. "),
        message(Role::User, "\tHow are\n\nyou? \n"),
        message(Role::Assistant, "Fine {{ bos_token }} & <b>"),
        message(Role::User, ""),
    ];
    let expected = "<|begin_of_text|>System: Be brief.<|eot_id|>User: How are\n\nyou?<|eot_id|>\
        Assistant: Fine {{ bos_token }} & <b><|eot_id|>User: <|eot_id|>";
    // The published template: in the configuration, in a file of its own, and in a list. Then no template, and no
    // configuration.
    for folder in [
        Folder::new(),
        Folder::new().config(json!({"bos_token": "<|begin_of_text|>"})).write("chat_template.jinja", PUBLISHED),
        Folder::new().config(json!({"bos_token": "<|begin_of_text|>", "chat_template": [
            {"name": "tool_use", "template": "{% broken"}, {"name": "default", "template": PUBLISHED}]})),
        Folder::new().config(json!({"bos_token": null})),
        Folder::new().remove("tokenizer_config.json"),
    ] {
        let tokenizer = folder.open().unwrap().unwrap();
        assert_eq!(tokenizer.chat(&chat, false).unwrap(), expected);
        assert_eq!(tokenizer.chat(&chat, true).unwrap(), format!("{expected}Assistant: "));
        assert_eq!(tokenizer.chat(&[], true).unwrap(), "Assistant: ");
        let ids = tokenizer.encode(expected).unwrap();
        assert_eq!((ids[0], ids.iter().filter(|id| **id == EOT).count()), (BOS, 4));
    }
}

#[test]
fn templates_as_transformers_renders_them() {
    for (template, expected) in [
        // A block removes its line break and its indentation. One final line feed is removed.
        ("{% for m in messages %}\n    {% if true %}\n{{ m.role }}\n    {% endif %}\n{% endfor %}\n", "user\n"),
        ("{{ messages[0]['content'].lower().strip('h') + eos_token }}", "i<|eot_id|>"),
        ("{{ tools is none }} {{ documents is none }} {{ strftime_now is defined }}", "True True False"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{{ messages | tojson }}", r#"[{"role": "user", "content": "Hi"}]"#),
    ] {
        let found = Folder::new().write("chat_template.jinja", template).chat().unwrap();
        assert_eq!(found, expected, "{template}");
    }
}

#[test]
fn the_end_of_a_turn() {
    let ends = |folder: Folder| folder.open().unwrap().unwrap().turn_ends().unwrap();
    let other = json!({"bos_token": "<|begin_of_text|>", "eos_token": "<|begin_of_text|>", "chat_template": PUBLISHED});
    for (folder, expected) in [
        (Folder::new(), &[EOT][..]),
        // The tokenizer names another token than the template writes.
        (Folder::new().config(other), &[BOS, EOT]),
        (Folder::new().config(json!({})), &[EOT]),
        // White space behind the token, as in ChatML.
        (
            Folder::new()
                .config(json!({}))
                .write("chat_template.jinja", "{% for m in messages %}{{ m.content }} <|eot_id|>\n{% endfor %}"),
            &[EOT],
        ),
        // No end is written, or the template refuses the turns.
        (Folder::new().config(json!({})).write("chat_template.jinja", "<|eot_id|>{{ messages[-1].content }}."), &[]),
        (Folder::new().config(json!({})).write("chat_template.jinja", "{{ raise_exception('no') }}"), &[]),
        (Folder::new().config(json!({"eos_token": "<|unknown|>"})).write("chat_template.jinja", ""), &[]),
    ] {
        assert_eq!(ends(folder), expected);
    }
}

/// `transformers` lets the older file decide unless `tokenizer_config.json` lists the added tokens itself.
#[test]
fn special_tokens_of_the_older_file() {
    let map = json!({"eos_token": {"content": "<|begin_of_text|>"}, "bos_token": "<|eot_id|>"}).to_string();
    let folder = |config: Value| {
        Folder::new()
            .config(config)
            .write("special_tokens_map.json", &map)
            .write("chat_template.jinja", "{{ bos_token }}{{ eos_token }}")
    };
    let plain = json!({"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"});
    assert_eq!(folder(plain.clone()).chat().unwrap(), "<|eot_id|><|begin_of_text|>");
    let mut listed = plain;
    listed["added_tokens_decoder"] = json!({});
    assert_eq!(folder(listed).chat().unwrap(), "<|begin_of_text|><|eot_id|>");
    blames(Folder::new().write("special_tokens_map.json", "[").chat(), "special_tokens_map.json", &["not valid JSON"]);
}

#[test]
fn added_tokens_that_the_tokenizer_lacks() {
    let remarks = |folder: Folder| folder.open().unwrap().unwrap().remarks();
    let older =
        |folder: Folder| folder.write("added_tokens.json", json!({"<|eot_id|>": EOT, "<|x|>": 320}).to_string());
    let lacks = |tokens: &str| vec![format!("1 token not used: {tokens}; tokenizer.json has no such tokens")];
    assert_eq!(remarks(Folder::new()), [""; 0]);
    assert_eq!(remarks(older(Folder::new())), lacks("<|x|> (320)"));
    let listed = json!({"added_tokens_decoder": {"319": {"content": "<|eot_id|>"}, "317": {"content": "<|eot_id|>"}}});
    assert_eq!(remarks(older(Folder::new().config(listed))), lacks("<|eot_id|> (317)"));
    let broken = remarks(Folder::new().write("added_tokens.json", "{\"a\": \"b\"}"));
    assert!(broken[0].contains("added_tokens.json: key \"a\": invalid type") && broken[0].ends_with("not used"));
}

#[test]
fn roles_in_json() {
    let message: Message = serde_json::from_str(r#"{"role": "assistant", "content": "Hi"}"#).unwrap();
    assert_eq!(message, Message::new(Role::Assistant, "Hi"));
    for role in [Role::System, Role::User, Role::Assistant] {
        assert_eq!(json!(role), role.name());
    }
}

#[test]
fn no_tokenizer() {
    assert!(Folder::new().remove("tokenizer.json").open().unwrap().is_none());
    assert!(Tokenizer::open(&committed().join("nowhere")).unwrap().is_none());
}

#[test]
fn tokenizers_that_are_refused() {
    let name = "tokenizer.json";
    for (text, part) in [
        ("", "the file is empty; is the download complete?"),
        ("\u{feff}{}", "begins with a byte-order mark; save it as UTF-8 without this mark"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9085657\n", "a Git LFS pointer"),
        ("<html><body>", "a web page (HTML), not the file itself; download the file itself"),
        ("[]", "expected an object"),
        ("{}", "cannot load this tokenizer"),
        ("{\"model_type\": \"bitnet\"}", "cannot load this tokenizer"),
    ] {
        blames(Folder::new().write(name, text).open(), name, &[part]);
    }
    blames(Folder::new().write(name, [0xff, 0xfe]).open(), name, &["the text is UTF-16; save it as UTF-8"]);
    blames(Folder::new().edit(|t| t["model"]["merges"] = json!(["Q x"])).open(), name, &["Qx"]);
    blames(Folder::new().edit(|t| t["model"]["type"] = json!("Other")).open(), name, &[]);
    blames(
        Folder::new().edit(|t| t["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!("(")).open(),
        name,
        &[],
    );
    let folder = Folder::new().remove(name);
    fs::create_dir(folder.0.path().join(name)).unwrap();
    blames(folder.open(), name, &["cannot read"]);
}

#[test]
fn configurations_that_are_refused() {
    let name = "tokenizer_config.json";
    blames(Folder::new().write(name, "{\"bos").chat(), name, &["not valid JSON"]);
    for (config, part) in [
        (json!([]), "expected an object"),
        (json!({"bos_token": 3}), "key \"bos_token\": invalid type"),
        (json!({"eos_token": {"special": true}}), "required key \"eos_token.content\" is missing"),
        (json!({"chat_template": 3}), "key \"chat_template\": invalid type"),
        (json!({"chat_template": [{"name": "x"}]}), "key \"chat_template[0]\": missing field"),
        (json!({"chat_template": [{"name": "x", "template": ""}]}), "expected one template called \"default\""),
    ] {
        let folder = Folder::new().config(config);
        blames(folder.chat(), name, &[part]);
        // Text that is no chat does not need this file.
        assert_eq!(folder.open().unwrap().unwrap().encode("a").unwrap(), [97]);
    }
}

#[test]
fn templates_that_are_refused() {
    for (template, part) in [
        ("a\n{% for m in messages %}", "chat_template:2"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ nothing.at.all }}", "undefined"),
        ("{{ messages[0].content.no_such_method() }}", "no_such_method"),
        ("{% include 'secrets' %}", "include"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        (&format!("{{{{ {} }}}}", "(".repeat(9999)), "recursion"),
    ] {
        let config = json!({"chat_template": template});
        blames(Folder::new().config(config).chat(), "tokenizer_config.json", &["key \"chat_template\"", part]);
        let folder = Folder::new().write("chat_template.jinja", template);
        blames(folder.chat(), "chat_template.jinja", &[part]);
    }
    let folder = Folder::new().write("chat_template.jinja", [b'a', 0xff]);
    blames(folder.chat(), "chat_template.jinja", &["utf-8"]);
    let folder = Folder::new().write("chat_template.jinja", "<!DOCTYPE html>");
    blames(folder.chat(), "chat_template.jinja", &["a web page (HTML)"]);
    assert_eq!(Folder::new().write("chat_template.jinja", "").chat().unwrap(), "");
    // There is no template, and the tokenizer lacks the special tokens of the default template.
    let folder = Folder::new().config(json!({})).edit(|t| t["added_tokens"] = json!([]));
    blames(folder.chat(), "tokenizer_config.json", &["chat_template", "missing"]);
}
