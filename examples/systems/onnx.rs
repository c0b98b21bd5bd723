//! Just enough of ONNX to write networks: protobuf messages, and a graph under construction with seeded random weights.
//!
//! Weights have variances that keep values near unit variance, and batch normalisations the statistics that follow from
//! those, so that activations are neither dead nor linear, as after training. No weight is trained.

/// Field numbers of `onnx.proto`, and the two ways of writing a field that are needed.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }
}

/// An attribute of a node.
#[derive(Clone, Copy)]
pub enum Attribute<'a> {
    /// An integer.
    Int(i64),
    /// A number.
    Float(f32),
    /// Integers.
    Ints(&'a [i64]),
}

/// A value of the graph, and what is known about its entries.
#[derive(Clone)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// Number of channels.
    pub channels: usize,
    /// Mean of the entries.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
}

impl Value {
    /// Another value of the same kind.
    pub fn like(&self, name: String) -> Self {
        Self { name, ..self.clone() }
    }
}

/// Standard deviation of log-mel features of speech.
const FEATURES: f64 = 3.5;
const OPSET: i64 = 17;

/// A graph under construction.
pub struct Graph {
    input: Vec<i64>,
    nodes: Message,
    tensors: Message,
    count: usize,
    random: u64,
    /// Numbers that training would choose.
    pub parameters: usize,
}

impl Graph {
    /// An empty graph whose input has these extents; an extent of 0 is open.
    pub fn new(input: &[i64]) -> Self {
        let (nodes, tensors) = (Message::default(), Message::default());
        Self { input: input.to_vec(), nodes, tensors, count: 0, random: 0x9e37_79b9_7f4a_7c15, parameters: 0 }
    }

    /// Features of `channels` columns, as a front end gives them.
    pub fn features(&self, channels: usize) -> Value {
        Value { name: "feats".into(), channels, mean: 0.0, deviation: FEATURES }
    }

    /// A number of this standard deviation, a sum of uniform ones.
    pub fn normal(&mut self, deviation: f64) -> f64 {
        let mut uniform = || {
            // splitmix64
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.random;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ z >> 31) >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        (0..4).map(|_| uniform()).sum::<f64>() * deviation * 3f64.sqrt()
    }

    /// Such numbers.
    pub fn normals(&mut self, count: usize, deviation: f64) -> Vec<f64> {
        (0..count).map(|_| self.normal(deviation)).collect()
    }

    /// A node of one output; its name.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        self.nodes(op, inputs, attributes, 1).remove(0)
    }

    /// A node of several outputs; their names.
    pub fn nodes(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
        outputs: usize,
    ) -> Vec<String> {
        self.count += 1;
        let names: Vec<String> = (0..outputs).map(|i| format!("{op}_{}_{i}", self.count)).collect();
        let mut node = Message::default();
        for input in inputs {
            node = node.bytes(1, input.as_bytes());
        }
        for name in &names {
            node = node.bytes(2, name.as_bytes());
        }
        node = node.bytes(3, format!("/{op}_{}", self.count).as_bytes()).bytes(4, op.as_bytes());
        for (name, value) in attributes {
            let attribute = Message::default().bytes(1, name.as_bytes());
            let attribute = match *value {
                Attribute::Float(x) => attribute.float(2, x).int(20, 1),
                Attribute::Int(n) => attribute.int(3, n).int(20, 2),
                Attribute::Ints(list) => list.iter().fold(attribute, |message, &n| message.int(8, n)).int(20, 7),
            };
            node = node.bytes(5, &attribute.0);
        }
        self.nodes = std::mem::take(&mut self.nodes).bytes(1, &node.0);
        names
    }

    fn tensor(&mut self, dims: &[usize], data_type: i64, raw: &[u8]) -> String {
        self.count += 1;
        let name = format!("tensor_{}", self.count);
        let tensor = dims.iter().fold(Message::default(), |message, &n| message.int(1, n as i64));
        let tensor = tensor.int(2, data_type).bytes(8, name.as_bytes()).bytes(9, raw);
        self.tensors = std::mem::take(&mut self.tensors).bytes(5, &tensor.0);
        name
    }

    /// A constant of floats that training would choose.
    pub fn weights(&mut self, dims: &[usize], values: &[f64]) -> String {
        self.parameters += values.len();
        let raw: Vec<u8> = values.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect();
        self.tensor(dims, 1, &raw)
    }

    /// A constant number.
    pub fn number(&mut self, value: f64) -> String {
        self.tensor(&[], 1, &(value as f32).to_le_bytes())
    }

    /// A constant list of integers.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.tensor(&[values.len()], 7, &raw)
    }

    /// The file of the graph, whose output this is.
    pub fn finish(mut self, output: &Value) -> Vec<u8> {
        let out = self.node("Identity", &[&output.name], &[]);
        let described = |name: &str, dims: &[i64]| {
            let tensor = Message::default().int(1, 1);
            let shape = dims.iter().fold(Message::default(), |shape, &n| match n {
                0 => shape.bytes(1, &Message::default().bytes(2, b"T").0),
                n => shape.bytes(1, &Message::default().int(1, n).0),
            });
            let tensor = tensor.bytes(2, &shape.0);
            let kind = Message::default().bytes(1, &tensor.0);
            Message::default().bytes(1, name.as_bytes()).bytes(2, &kind.0)
        };
        let mut graph = self.nodes.bytes(2, b"graph");
        graph.0.extend(self.tensors.0);
        let graph = graph
            .bytes(11, &described("feats", &self.input).0)
            .bytes(12, &described(&out, &[1, output.channels as i64]).0);
        let opset = Message::default().int(2, OPSET);
        Message::default().int(1, 8).bytes(8, &opset.0).bytes(7, &graph.0).0
    }
}
