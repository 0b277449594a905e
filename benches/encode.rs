//! How long does a picture take, on the same pixels and threads as a peer?
//!
//! `cargo bench --bench encode -- PIXELS.safetensors THREADS BATCH REPEATS` prints one JSON line; the
//! pixels are those that `benches/peers/onnxruntime.py --keep` leaves, which also runs this bench
//! beside onnxruntime and prints the ratio. Without arguments it takes the example photos.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::path::Path;
use std::time::Instant;
use std::{env, fs, thread};

use sightword::encode::Encoder;
use sightword::ingest::{DecodeOptions, Picture, Pixels, read};

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let file = arguments.next();
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse::<usize>());
    let (threads, batch, repeats) = (number(2)?, number(4)?, number(7)?);
    let photos = examples()?;
    let pictures = match &file {
        Some(file) => with_pixels(Path::new(file), &photos[0])?,
        None => photos,
    };
    let encoder = Encoder::embedded()?;
    let mut milliseconds: Vec<f64> =
        (0..=repeats).map(|_| pass(&encoder, &pictures, threads, batch)).skip(1).collect();
    milliseconds.sort_by(f64::total_cmp);
    println!(
        "{{\"min\": {:.3}, \"median\": {:.3}}}",
        milliseconds[0],
        milliseconds[milliseconds.len() / 2]
    );
    Ok(())
}

/// Encodes all pictures once and returns the milliseconds for each.
fn pass(encoder: &Encoder, pictures: &[Picture], threads: usize, batch: usize) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for thread in 0..threads {
            let own = pictures.chunks(batch).skip(thread).step_by(threads);
            scope.spawn(move || {
                own.for_each(|batch| assert!(encoder.encode_images(batch).is_ok(), "no vectors"));
            });
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "a few pictures")]
    let count = pictures.len() as f64;
    start.elapsed().as_secs_f64() * 1e3 / count
}

fn examples() -> anyhow::Result<Vec<Picture>> {
    let mut paths: Vec<_> = fs::read_dir("examples/photos")?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    let options = DecodeOptions::default();
    paths.iter().map(|path| Ok(read(path, &options)?)).collect()
}

/// Pictures that differ from `like` in their pixels alone: tensor `pixels`, [n, height, width, 3].
fn with_pixels(file: &Path, like: &Picture) -> anyhow::Result<Vec<Picture>> {
    let bytes = fs::read(file)?;
    let tensors = safetensors::SafeTensors::deserialize(&bytes)?;
    let tensor = tensors.tensor("pixels")?;
    let side = u32::try_from(tensor.shape()[1])?;
    let pictures = tensor.data().chunks(tensor.shape()[1..].iter().product()).map(|rgb| {
        let mut picture = like.clone();
        picture.pixels = Pixels::new(side, side, rgb.to_vec())?;
        Ok(picture)
    });
    pictures.collect()
}
