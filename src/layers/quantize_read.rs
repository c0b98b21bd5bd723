//! What a network's output is computed from: all other layers are left out.

use super::lowering::{LayerRef, Placed};

/// The layers that the last one depends on: of a value of which only a part is read, such as a mean without its deviation, the
/// rest is computed by layers of its own.
pub(super) fn read_layers(layers: Vec<Placed>) -> Vec<Placed> {
    let mut read = vec![false; layers.len()];
    if let Some(last) = read.last_mut() {
        *last = true;
    }
    let index = |at: &LayerRef| match *at {
        LayerRef::Input => None,
        LayerRef::Layer(index) => Some(index as usize),
    };
    for (at, layer) in layers.iter().enumerate().rev() {
        if read[at] {
            layer.inputs.iter().filter_map(index).for_each(|input| read[input] = true);
        }
    }
    let (mut place, mut kept) = (vec![0; layers.len()], Vec::new());
    for (at, mut layer) in layers.into_iter().enumerate().filter(|&(at, _)| read[at]) {
        for input in &mut layer.inputs {
            if let LayerRef::Layer(index) = input {
                *index = place[*index as usize];
            }
        }
        place[at] = kept.len() as u32;
        kept.push(layer);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::lowering::AnyLayer;
    use crate::layers::pooling::Row;

    #[test]
    fn only_what_is_read_stays() {
        let layer = |name: &str, from: LayerRef| Placed {
            layer: AnyLayer::Row(Row { name: name.into(), last: true, fraction_bits: 0 }),
            inputs: vec![from],
        };
        let layers = vec![
            layer("unread", LayerRef::Input),
            layer("first", LayerRef::Input),
            layer("unread as well", LayerRef::Layer(1)),
            layer("last", LayerRef::Layer(1)),
        ];
        let expected = vec![layer("first", LayerRef::Input), layer("last", LayerRef::Layer(0))];
        assert_eq!(read_layers(layers), expected);
        assert_eq!(read_layers(vec![]), []);
    }
}
