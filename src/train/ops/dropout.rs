//! Dropout (Srivastava et al., JMLR 15, 2014), with a mask that comes from the run's own generator.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rand::RngCore;

use crate::train::Random;

/// Leaves out each element with the probability `share` and scales up the others, so that the mean
/// stays. `share` is at least 0 and below 1, and is rounded to a 65,536th.
///
/// # Errors
/// A `share` out of range.
pub fn dropout(x: &Tensor, share: f32, random: &mut Random) -> Result<Tensor> {
    if !(0.0..1.0).contains(&share) {
        bail!("dropout of {share}: from 0 to below 1");
    }
    let mut bytes = vec![0; 2 * x.elem_count()];
    random.fill_bytes(&mut bytes);
    let kept = 1.0 / (1.0 - share);
    let limit = share * 65_536.0;
    let draws = bytes.as_chunks::<2>().0.iter().map(|&draw| u16::from_le_bytes(draw));
    let mask: Vec<f32> =
        draws.map(|draw| if f32::from(draw) < limit { 0.0 } else { kept }).collect();
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?;
    if x.device().is_cpu() { x.contiguous()?.apply_op1(Times(mask)) } else { x * mask }
}

/// A product whose second factor needs no gradient; candle's would compute one.
struct Times(Tensor);

impl CustomOp1 for Times {
    fn name(&self) -> &'static str {
        "train-dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut values = super::floats(x, layout, self.name())?.to_vec();
        let mask = super::Floats::of(&self.0)?;
        values.iter_mut().zip(&*mask).for_each(|(x, mask)| *x *= mask);
        Ok((CpuStorage::F32(values), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some((grad * &self.0)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn a_tenth_is_left_out_and_the_mean_stays() {
        let x = Var::from_tensor(&Tensor::full(1_f32, 100_000, &Device::Cpu).unwrap()).unwrap();
        let out = dropout(&x, 0.1, &mut Random::seeded(1, 0)).unwrap();
        let gradient = out.sum_all().unwrap().backward().unwrap().remove(&x).unwrap();
        let out: Vec<f32> = out.to_vec1().unwrap();
        let left_out = out.iter().filter(|&&x| x == 0.0).count();
        assert!((9_700..10_300).contains(&left_out), "{left_out} left out");
        let mean = out.iter().sum::<f32>() / 1e5;
        assert!((mean - 1.0).abs() < 0.01, "the mean is {mean}");
        assert_eq!(gradient.to_vec1::<f32>().unwrap(), out, "what is left out gets no gradient");
    }

    #[test]
    fn one_seed_leaves_out_the_same() {
        let x = Tensor::ones(1_000, candle_core::DType::F32, &Device::Cpu).unwrap();
        let draw = |seed| {
            let out = dropout(&x, 0.5, &mut Random::seeded(seed, 0)).unwrap();
            out.to_vec1::<f32>().unwrap()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
