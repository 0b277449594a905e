//! Which tensors are trained, and how fast?

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, Var, bail};

/// How the tensors whose names begin alike are trained. The longest prefix that fits a name counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What the names begin with; the empty one fits all.
    pub prefix: String,
    /// Times the schedule's learning rate; 0 freezes.
    pub rate: f64,
    /// Of matrices; vectors (biases and norms) are never decayed.
    pub weight_decay: f64,
}

/// The named tensors of both towers. A name is that of the model's `model.safetensors`, and the order
/// is always that of the names.
pub struct Parameters {
    parameters: BTreeMap<String, Parameter>,
}

struct Parameter {
    /// Shares its memory with the variable, so it is always up to date.
    tensor: Tensor,
    trained: Option<Trained>,
}

/// A tensor that is trained.
#[derive(Debug)]
pub struct Trained {
    /// The variable, in 32-bit floats.
    pub variable: Var,
    /// Times the schedule's learning rate.
    pub rate: f64,
    /// Share of the weight that a step at learning rate 1 takes away.
    pub weight_decay: f64,
}

impl Parameters {
    /// Copies `weights` to the device, floats in 32 bits. A name that no group fits is frozen, and so
    /// is what does not consist of floats.
    ///
    /// # Errors
    /// What the device says.
    pub fn new(
        weights: &BTreeMap<String, Tensor>,
        groups: &[Group],
        device: &Device,
    ) -> Result<Self> {
        let parameters = weights.iter().map(|(name, tensor)| {
            let group = group_of(name, groups).filter(|group| group.rate > 0.0);
            Ok((name.clone(), Parameter::new(tensor, group, device)?))
        });
        Ok(Self { parameters: parameters.collect::<Result<_>>()? })
    }

    /// A tensor by its name. It shows later changes, too.
    ///
    /// # Errors
    /// No tensor of this name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        match self.parameters.get(name) {
            Some(parameter) => Ok(&parameter.tensor),
            None => bail!("no tensor {name}"),
        }
    }

    /// What is trained, by name.
    pub fn trained(&self) -> impl Iterator<Item = (&str, &Trained)> {
        self.parameters.iter().filter_map(|(name, parameter)| {
            let trained = parameter.trained.as_ref()?;
            Some((name.as_str(), trained))
        })
    }

    /// A copy of all tensors as they are now.
    ///
    /// # Errors
    /// What the device says.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let copy = |(name, parameter): (&String, &Parameter)| {
            Ok((name.clone(), parameter.tensor.detach().copy()?))
        };
        self.parameters.iter().map(copy).collect()
    }

    /// Gives what is trained the values of a checkpoint; further tensors are left alone.
    ///
    /// # Errors
    /// Names the tensor that is missing or of another shape; nothing is changed then.
    pub fn restore(&self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        for (name, trained) in self.trained() {
            find(tensors, name, trained.variable.dims())?;
        }
        for (name, trained) in self.trained() {
            let tensor = find(tensors, name, trained.variable.dims())?;
            let tensor = tensor.to_device(trained.variable.device())?.to_dtype(DType::F32)?;
            trained.variable.set(&tensor)?;
        }
        Ok(())
    }
}

impl Parameter {
    fn new(tensor: &Tensor, group: Option<&Group>, device: &Device) -> Result<Self> {
        let tensor = tensor.to_device(device)?;
        if !tensor.dtype().is_float() {
            return Ok(Self { tensor, trained: None });
        }
        let tensor = tensor.to_dtype(DType::F32)?.contiguous()?.detach();
        let Some(group) = group else { return Ok(Self { tensor, trained: None }) };
        let weight_decay = if tensor.rank() > 1 { group.weight_decay } else { 0.0 };
        // A copy: the caller's tensor must not change with the variable.
        let variable = Var::from_tensor(&tensor.copy()?)?;
        let tensor = variable.as_tensor().clone();
        Ok(Self { tensor, trained: Some(Trained { variable, rate: group.rate, weight_decay }) })
    }
}

fn group_of<'a>(name: &str, groups: &'a [Group]) -> Option<&'a Group> {
    let fitting = groups.iter().filter(|group| name.starts_with(&group.prefix));
    fitting.max_by_key(|group| group.prefix.len())
}

/// The tensor of a checkpoint that has this name and shape.
pub(super) fn find<'a>(
    tensors: &'a BTreeMap<String, Tensor>,
    name: &str,
    shape: &[usize],
) -> Result<&'a Tensor> {
    let Some(tensor) = tensors.get(name) else { bail!("no tensor {name}") };
    if tensor.dims() != shape {
        bail!("{name} is {:?}, not {shape:?}", tensor.dims());
    }
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use super::super::ops::testing::random;
    use super::*;

    fn group(prefix: &str, rate: f64, weight_decay: f64) -> Group {
        Group { prefix: prefix.into(), rate, weight_decay }
    }

    fn weights() -> BTreeMap<String, Tensor> {
        let named = [("image.a", vec![2, 3]), ("image.norm", vec![3]), ("text.a", vec![2])];
        named.map(|(name, shape)| (name.to_owned(), random(&shape, 1))).into_iter().collect()
    }

    #[test]
    fn the_longest_prefix_counts_and_no_group_freezes() {
        let groups = [group("image", 1.0, 0.05), group("image.n", 0.5, 0.05)];
        let parameters = Parameters::new(&weights(), &groups, &Device::Cpu).unwrap();
        let trained: Vec<_> =
            parameters.trained().map(|(name, t)| (name, t.rate, t.weight_decay)).collect();
        assert_eq!(trained, [("image.a", 1.0, 0.05), ("image.norm", 0.5, 0.0)]);
        assert!(!parameters.get("text.a").unwrap().is_variable());
    }

    #[test]
    fn a_checkpoint_of_another_shape_is_refused_by_name() {
        let parameters = Parameters::new(&weights(), &[group("", 1.0, 0.0)], &Device::Cpu).unwrap();
        let mut other = parameters.tensors().unwrap();
        other.insert("image.norm".into(), random(&[4], 1));
        let error = parameters.restore(&other).unwrap_err().to_string();
        assert!(error.contains("image.norm is [4], not [3]"), "{error}");
        other.remove("image.norm");
        assert!(parameters.restore(&other).unwrap_err().to_string().contains("image.norm"));
    }

    #[test]
    fn restored_values_are_seen_by_who_holds_the_tensor() {
        let parameters = Parameters::new(&weights(), &[group("", 1.0, 0.0)], &Device::Cpu).unwrap();
        let held = parameters.get("text.a").unwrap().clone();
        let before = parameters.tensors().unwrap();
        let mut other = before.clone();
        other.insert("text.a".into(), random(&[2], 2));
        parameters.restore(&other).unwrap();
        let values = |tensor: &Tensor| tensor.to_vec1::<f32>().unwrap();
        assert_eq!(values(&held), values(&other["text.a"]));
        assert_ne!(values(&held), values(&before["text.a"]), "a copy does not change");
    }
}
