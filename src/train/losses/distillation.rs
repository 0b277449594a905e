//! A teacher's opinion: which pairs of a batch belong together, and how nearly.
//!
//! Its opinion on classes is a target for [`grounding`](super::grounding).

use candle_core::{D, Result, Tensor};

use super::log_softmax;

/// `KL(teacher ‖ student)` over each picture's texts and over each text's pictures, the mean of both
/// (Hinton et al., arXiv 1503.02531; both ways as D2S does, arXiv 2402.17535).
///
/// `student` and `teacher` are scores [pictures, texts]. The teacher's are divided by `temperature`, the
/// student's are scaled already ([`scaled_scores`](super::scaled_scores)).
///
/// # Errors
/// Shapes that do not fit.
pub fn score_distillation(student: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor> {
    let teacher = (teacher.detach() / temperature)?;
    let pictures = divergence(student, &teacher)?;
    let texts = divergence(&student.t()?.contiguous()?, &teacher.t()?.contiguous()?)?;
    (pictures + texts)? / 2.0
}

fn divergence(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    let teacher = log_softmax(teacher)?;
    (teacher.exp()? * (&teacher - log_softmax(student)?)?)?.sum(D::Minus1)?.mean_all()
}
