//! What do the operators of training gain over candle's plain graph, and how fast is a step?
//!
//! `cargo bench --bench train` prints a table of ratios, plain graph to ours, in time and in peak memory;
//! `cargo bench --bench train -- pool tail step` only these parts. Each case runs in a process of its own, so
//! that its peak is its own; `-- NAME` with the full name of a case runs it here. Weights and pictures are
//! random: the arithmetic is the same.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::collections::BTreeMap;
use std::time::Instant;
use std::{env, fs, process};

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor, Var};
use sightword::encode::{Encoder, Saturation};
use sightword::train::losses::{flops, grounding, itc, scaled_scores};
use sightword::train::ops::{
    Depthwise, Sequences, max_logits, plain_max_logits, pointwise, pointwise_relu6,
};
use sightword::train::towers::sample_patches;
use sightword::train::{
    AdamW, Average, Group, Optimiser, Parameters, Random, TowerSettings, Towers, saturate,
};

const BATCH: usize = 64;
/// Pictures of the backbone's comparison: with more, candle's convolutions take minutes and gigabytes.
const PICTURES: usize = 8;
const HIDDEN: usize = 384;
/// Tokens of a picture or text whose gradient is taken.
const GRADIENTS: usize = 512;
/// The first block that is trained, as in v0.
const FIRST: usize = 15;
const PASSES: u32 = 3;

fn main() -> Result<()> {
    let asked: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [name] = asked.as_slice()
        && name.contains('/')
    {
        let Measured { seconds, processor, mib } = case(name)?;
        println!("{seconds} {processor} {mib}");
        return Ok(());
    }
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    if wanted("pool") {
        for (positions, tokens) in [(49, 9_281), (30, 9_281), (49, 30_522), (30, 30_522)] {
            let name = |how: &str| format!("pool/{how}/{positions}/{tokens}");
            let what = format!("vocabulary head, {positions} positions, {tokens} tokens");
            compare(&what, &name("plain"), &name("ours"))?;
            compare(&format!("{what}, all gradients"), &name("plain"), &name("exact"))?;
        }
    }
    if wanted("tail") {
        compare("blocks 15 to 20 of the backbone, 8 pictures", "tail/plain", "tail/ours")?;
    }
    if wanted("step") {
        let Measured { seconds, processor, mib } = in_process("step/ours")?;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let rate = BATCH as f64 / seconds;
        println!(
            "a step of {BATCH} pairs: {seconds:.2} s, {rate:.1} photos a second ({processor:.2} s of the processor), {mib:.0} MiB"
        );
    }
    Ok(())
}

/// What a pass took.
struct Measured {
    /// The fastest pass.
    seconds: f64,
    /// Of the processor, all threads together, on average: other work on the machine hardly changes it.
    processor: f64,
    /// Most memory at a time.
    mib: f64,
}

/// Prints how much more time and memory `plain` takes than `ours`.
fn compare(what: &str, plain: &str, ours: &str) -> Result<()> {
    let (plain, ours) = (in_process(plain)?, in_process(ours)?);
    println!(
        "{what}: {:.1} times faster ({:.2} s of the processor, plain {:.2} s), {:.1} times less memory ({:.0} MiB, plain {:.0} MiB)",
        plain.processor / ours.processor,
        ours.processor,
        plain.processor,
        plain.mib / ours.mib,
        ours.mib,
        plain.mib
    );
    Ok(())
}

fn in_process(name: &str) -> Result<Measured> {
    let output = process::Command::new(env::current_exe()?).args(["--bench", name]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let &[seconds, processor, mib] = numbers.as_slice() else {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    };
    Ok(Measured { seconds, processor, mib })
}

fn case(name: &str) -> Result<Measured> {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["pool", how, positions, tokens] => pool(how, positions.parse()?, tokens.parse()?),
        ["tail", how] => tail(how),
        ["step", _] => step(),
        _ => bail!("no case {name}"),
    }
}

/// One pass to warm up, then some that count.
fn measure(mut pass: impl FnMut() -> Result<()>) -> Result<Measured> {
    // Makes the peak begin from what is resident now.
    fs::write("/proc/self/clear_refs", "5")?;
    let before = mib("VmRSS:")?;
    pass()?;
    let (mut seconds, started) = (f64::INFINITY, processor_seconds()?);
    for _ in 0..PASSES {
        let start = Instant::now();
        pass()?;
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    let processor = (processor_seconds()? - started) / f64::from(PASSES);
    Ok(Measured { seconds, processor, mib: mib("VmHWM:")? - before })
}

/// What all threads have used so far: fields 14 and 15 of `stat`, in hundredths of a second.
fn processor_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().context("no fields")?.split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

fn mib(field: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

fn random(shape: &[usize], spread: f64) -> Result<Var> {
    Ok(Var::from_tensor(&Tensor::randn(0.0, spread, shape, &Device::Cpu)?.to_dtype(DType::F32)?)?)
}

/// The vocabulary head, forward and backward.
fn pool(how: &str, positions: usize, tokens: usize) -> Result<Measured> {
    let sequences = Sequences::equal(BATCH, positions);
    let hidden = random(&[BATCH * positions, HIDDEN], 1.0)?;
    let (embeddings, bias) = (random(&[tokens, HIDDEN], 0.05)?, random(&[tokens], 0.1)?);
    let wanted = random(&[BATCH, tokens], 1.0)?.as_detached_tensor();
    measure(|| {
        let pooled = match how {
            "plain" => plain_max_logits(&hidden, &embeddings, &bias, &sequences)?,
            "exact" => max_logits(&hidden, &embeddings, &bias, &sequences, None)?,
            _ => max_logits(&hidden, &embeddings, &bias, &sequences, Some(GRADIENTS))?,
        };
        (pooled * &wanted)?.sum_all()?.backward()?;
        Ok(())
    })
}

/// The last blocks of the backbone, forward and backward.
fn tail(how: &str) -> Result<Measured> {
    let encoder = Encoder::embedded()?;
    let blocks = &encoder.config().image.backbone.blocks[FIRST..];
    let mut size = 2 * encoder.config().image.grid;
    let x = random(&[blocks[0].inputs, size * size, PICTURES], 1.0)?;
    let mut layers = Vec::new();
    for block in blocks {
        let inner = block.inputs * block.expand;
        let op = Depthwise { kernel: block.kernel, stride: block.stride, size };
        let expand = (random(&[inner, block.inputs, 1, 1], 0.1)?, random(&[inner], 0.1)?);
        let filters =
            (random(&[inner, 1, block.kernel, block.kernel], 0.2)?, random(&[inner], 0.1)?);
        let project = (random(&[block.outputs, inner, 1, 1], 0.1)?, random(&[block.outputs], 0.1)?);
        layers.push((op, [expand, filters, project], block.residual));
        size = op.output_size();
    }
    let ours = |x: Tensor, (op, weights, residual): &Layer| -> Result<Tensor> {
        let [(expand, a), (filters, b), (project, c)] = weights;
        let y = op.forward(&pointwise_relu6(&x, expand, a)?, filters, b)?;
        let y = pointwise(&y, project, c)?;
        Ok(if *residual { (x + y)? } else { y })
    };
    if how == "ours" {
        return measure(|| {
            let y = layers.iter().try_fold(x.as_tensor().clone(), ours)?;
            y.sqr()?.sum_all()?.backward()?;
            Ok(())
        });
    }
    let side = x.dim(1)?.isqrt();
    let x = x.permute((2, 0, 1))?.reshape((PICTURES, (), side, side))?;
    let x = Var::from_tensor(&x)?;
    measure(|| {
        let y = layers.iter().try_fold(x.as_tensor().clone(), convolved)?;
        y.sqr()?.sum_all()?.backward()?;
        Ok(())
    })
}

type Layer = (Depthwise, [(Var, Var); 3], bool);

/// A block by candle's convolutions: `x` [pictures, channels, rows, columns].
fn convolved(x: Tensor, (op, weights, residual): &Layer) -> Result<Tensor> {
    let [expand, filters, project] = weights;
    let convolve = |x: &Tensor, (weight, bias): &(Var, Var), stride, groups| -> Result<Tensor> {
        let y = x.conv2d(weight, 0, stride, 1, groups)?;
        Ok(y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?)
    };
    let y = convolve(&x, expand, 1, 1)?.clamp(0_f32, 6_f32)?;
    let (before, after) = op.padding();
    let y = y.pad_with_zeros(2, before, after)?.pad_with_zeros(3, before, after)?;
    let y = convolve(&y, filters, op.stride, y.dim(1)?)?.clamp(0_f32, 6_f32)?;
    let y = convolve(&y, project, 1, 1)?;
    Ok(if *residual { (x + y)? } else { y })
}

/// A whole step: both towers, contrast, grounding, FLOPs, AdamW and the average.
fn step() -> Result<Measured> {
    let config = Encoder::embedded()?.config().clone();
    let outputs: Vec<u16> = (2_000..11_281).collect();
    let parameters = parameters()?;
    let settings = TowerSettings {
        first_trained_block: FIRST,
        dropout: 0.1,
        masked_words: 0.15,
        mask_token: 103,
        gradients: Some(GRADIENTS),
    };
    let towers = Towers::new(&parameters, &config, &outputs, settings)?;
    let adamw = AdamW { beta1: 0.9, beta2: 0.98, eps: 1e-8, largest_norm: 2.0 };
    let mut optimiser = Optimiser::new(&parameters, adamw)?;
    let mut average = Average::new(&parameters, 0.995)?;
    let channels = config.image.backbone.blocks[FIRST].inputs;
    let patches = config.image.grid.pow(2);
    let features = random(&[BATCH, 4 * patches, channels], 1.0)?.as_detached_tensor();
    // A caption has 10.8 words, and two special tokens.
    let texts: Vec<Vec<u16>> =
        (0..64_u16).map(|t| (0..13).map(|w| 2_000 + 13 * t + w).collect()).collect();
    let own = Tensor::eye(BATCH, DType::F32, &Device::Cpu)?;
    let words = (random(&[BATCH, outputs.len()], 1e-4)?.abs())?;
    let mut chance = Random::seeded(1, 0);
    measure(|| {
        let keep = sample_patches(BATCH, patches, 30, &mut chance, &Device::Cpu)?;
        let image = towers.image(&features, Some(&keep), Some(&mut chance))?;
        let text = towers.text(&texts, Some(&mut chance))?;
        let once = Saturation::Once;
        let (zi, zt) = (saturate(&image, once)?, saturate(&text, once)?);
        let scores = scaled_scores(&zi, &zt, parameters.get("log_scale")?)?;
        let grounded = (grounding(&image, &words)? + grounding(&text, &words)?)?;
        let loss = ((itc(&scores, &own, 0.05)? + grounded)? + (flops(&zi)? + flops(&zt)?)?)?;
        optimiser.step(&parameters, &loss.backward()?, 1e-4)?;
        Ok(average.update(&parameters)?)
    })
}

/// Random weights of the embedded model's names and shapes.
fn parameters() -> Result<Parameters> {
    let bytes = fs::read("models/default/model.safetensors")?;
    let file = safetensors::SafeTensors::deserialize(&bytes)?;
    let mut weights =
        BTreeMap::from([("log_scale".to_owned(), Tensor::new(-2_f32, &Device::Cpu)?)]);
    for (name, tensor) in file.iter().filter(|(name, _)| !name.ends_with(".scale")) {
        let spread = if tensor.shape().len() > 1 { 0.05 } else { 0.2 };
        weights.insert(name.to_owned(), random(tensor.shape(), spread)?.as_detached_tensor());
    }
    let group = |prefix: String, rate| Group { prefix, rate, weight_decay: 0.05 };
    let frozen = (0..FIRST).map(|block| format!("image.backbone.blocks.{block}."));
    let frozen = frozen.chain(["image.backbone.stem".into(), "query_table".into()]);
    let mut groups: Vec<Group> = frozen.map(|prefix| group(prefix, 0.0)).collect();
    groups.push(group(String::new(), 1.0));
    Ok(Parameters::new(&weights, &groups, &Device::Cpu)?)
}
