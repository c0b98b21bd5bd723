//! Which nodes the output needs: what is imported is what is computed.

use std::collections::HashSet;

use super::NodeProto;

/// Adds to the names that are asked for those that they are computed from, in the branches of conditions, too. Of a
/// condition only those outputs count that are asked for; of a loop all do.
pub(super) fn demand<'a>(nodes: &'a [NodeProto], wanted: &mut HashSet<&'a str>) {
    for proto in nodes.iter().rev() {
        if !is_demanded(proto, wanted) {
            continue;
        }
        wanted.extend(proto.input.iter().map(String::as_str).filter(|name| !name.is_empty()));
        for graph in proto.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
            // A state of a loop is read in its next step even if nothing reads the last one.
            let same = proto.op_type.as_deref() == Some("If") && graph.output.len() == proto.output.len();
            for (index, output) in graph.output.iter().enumerate() {
                let outside = proto.output.get(index).map_or("", String::as_str);
                if !same || wanted.contains(outside) {
                    wanted.extend(output.name.as_deref());
                }
            }
            demand(&graph.node, wanted);
        }
    }
}

/// Whether an output of a node is asked for.
pub(super) fn is_demanded(proto: &NodeProto, wanted: &HashSet<&str>) -> bool {
    proto.output.iter().any(|name| !name.is_empty() && wanted.contains(name.as_str()))
}
