use proptest::prelude::*;
use safetensors::tensor::Dtype;
use sightword_index::{SparseVector, TokenId};

use super::super::make_bank::{NewBank, with_bank};
use super::*;
use crate::encode::ModelConfig;
use crate::encode::weights::serialise;

const VOCABULARY: usize = 12;

type Entries = Vec<(u16, u8)>;

fn file(ends: &[i32], tokens: &[u16], impacts: &[u8]) -> Weights {
    let ends_bytes = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
    let token_bytes = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    let tensors = [
        ("bank.ends".to_owned(), Dtype::I32, vec![ends.len()], ends_bytes),
        ("bank.tokens".to_owned(), Dtype::U16, vec![tokens.len()], token_bytes),
        ("bank.impacts".to_owned(), Dtype::U8, vec![impacts.len()], impacts.to_vec()),
    ];
    Weights::owned(serialise(&tensors).unwrap()).unwrap()
}

fn config(best: usize) -> BankConfig {
    BankConfig { best, usual: 100.0, power: 0.5 }
}

fn entries() -> impl Strategy<Value = Entries> {
    let entries = proptest::collection::btree_map(0_u16..12, 1_u8.., 0..6);
    entries.prop_map(|entries| entries.into_iter().collect())
}

proptest! {
    #[test]
    fn it_is_the_mean_of_the_best_of_all_products(
        pictures in proptest::collection::vec(entries(), 1..9),
        text in entries(),
        best in 1_usize..12,
    ) {
        let (mut ends, mut tokens, mut impacts) = (vec![], vec![], vec![]);
        for picture in &pictures {
            tokens.extend(picture.iter().map(|(token, _)| *token));
            impacts.extend(picture.iter().map(|(_, impact)| *impact));
            ends.push(i32::try_from(tokens.len()).unwrap());
        }
        let bank = Bank::new(&file(&ends, &tokens, &impacts), config(best), VOCABULARY).unwrap();
        let weights = || text.iter().map(|(token, weight)| (*token, f32::from(*weight)));
        let score = |picture: &Entries| -> f64 {
            let product = |(token, impact): &(u16, u8)| {
                let weight = text.iter().find(|(other, _)| other == token);
                weight.map_or(0.0, |(_, weight)| f64::from(*weight) * f64::from(*impact))
            };
            picture.iter().map(product).sum()
        };
        let mut scores: Vec<f64> = pictures.iter().map(score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.truncate(best);
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        prop_assert!((f64::from(bank.best_scores(weights())) - mean).abs() <= 1e-5 * mean);
        let factor = f64::from(bank.factor(weights()));
        let wanted = if mean > 0.0 { (100.0 / mean).sqrt().clamp(0.5, 2.0) } else { 2.0 };
        prop_assert!((factor - wanted).abs() < 1e-5, "{factor} where {wanted} is right");
    }
}

#[test]
fn what_is_no_bank_is_refused() {
    let refused = |ends: &[i32], tokens: &[u16], impacts: &[u8]| {
        Bank::new(&file(ends, tokens, impacts), config(1), VOCABULARY).err().unwrap()
    };
    assert!(Bank::new(&file(&[1, 2], &[3, 11], &[9, 9]), config(1), VOCABULARY).is_ok());
    assert!(refused(&[2, 1, 2], &[3, 4], &[9, 9]).contains("bank.ends"));
    assert!(refused(&[-1, 2], &[3, 4], &[9, 9]).contains("bank.ends"));
    assert!(refused(&[1], &[3, 4], &[9, 9]).contains("bank.ends"));
    assert!(refused(&[], &[], &[]).contains("bank.ends"));
    assert!(refused(&[2], &[3, 4], &[9]).contains("bank.ends"));
    assert!(refused(&[2], &[3, 12], &[9, 9]).contains("bank.tokens"));
    for bad in [
        BankConfig { best: 0, ..config(1) },
        BankConfig { usual: 0.0, ..config(1) },
        BankConfig { usual: f32::NAN, ..config(1) },
        BankConfig { power: 1.5, ..config(1) },
    ] {
        assert!(bad.problem().is_some(), "{bad:?}");
    }
}

#[test]
fn a_bank_is_made_for_a_model_and_replaced() {
    let vector = |entries: &[(u16, u8)]| {
        SparseVector::new(entries.iter().map(|&(token, impact)| (TokenId(token), impact))).unwrap()
    };
    let pictures = [vector(&[(1, 200), (2, 10)]), vector(&[(1, 100), (3, 50)])];
    let texts = [vector(&[(1, 220)]), vector(&[(1, 110)]), vector(&[(2, 110)])];
    let new = NewBank { pictures: &pictures, entries: 1, texts: &texts, best: 2, power: 0.5 };
    let json = include_bytes!("../../../models/default/config.json");
    let other = ("other".to_owned(), Dtype::F32, vec![1], vec![7; 4]);
    let (json, weights) = with_bank(json, serialise(&[other]).unwrap(), &new).unwrap();
    // An impact of 110 is a weight of 1 with that model.
    let made = ModelConfig::parse(&json).unwrap().bank.unwrap();
    assert_eq!(made, BankConfig { best: 2, usual: 150.0, power: 0.5 });
    let columns = |weights: &[u8]| {
        let weights = Weights::owned(weights.to_vec()).unwrap();
        assert!(weights.info("other").is_ok());
        let bank = Bank::new(&weights, made, VOCABULARY).unwrap();
        (bank.ends, bank.tokens, bank.impacts.to_vec())
    };
    assert_eq!(columns(&weights), (vec![1, 2], vec![1, 1], vec![200, 100]));
    let (_, weights) = with_bank(&json, weights, &NewBank { entries: 2, ..new }).unwrap();
    assert_eq!(columns(&weights), (vec![2, 4], vec![1, 2, 1, 3], vec![200, 10, 100, 50]));
    // Nothing is typical of no texts.
    assert!(with_bank(&json, weights, &NewBank { texts: &[], ..new }).is_err());
}
