//! Escaping: whatever comes from outside stays text in HTML and XML.

use std::fmt;

/// Shows a value as text of HTML and XML, safe in elements and in quoted attributes.
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.0.to_string().chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            // XML has no way to write other control characters.
            '\n' | '\t' => f.write_char(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn markup_becomes_text() {
        let hostile = "<script>alert('x' & \"y\")</script>";
        let shown = Text(hostile).to_string();
        assert_eq!(shown, "&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;");
    }

    #[test]
    fn characters_that_xml_forbids_are_replaced() {
        assert_eq!(Text("a\0b\u{1b}c\nd").to_string(), "a\u{fffd}b\u{fffd}c\nd");
    }
}
