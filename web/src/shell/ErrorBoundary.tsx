// When a page breaks, the rest of the shell stays and the page offers to try again.
import { useQueryClient } from "@tanstack/react-query";
import { Component, type ReactNode } from "react";
import { ErrorState } from "@/parts/States";

/** React asks for a class here. `resetKey` clears the error: another address is another page. */
class Boundary extends Component<{ children: ReactNode; resetKey: string; onReset: () => void }, { error: unknown; at: string }> {
  override state = { error: null as unknown, at: "" };
  static getDerivedStateFromError(error: unknown) {
    return { error };
  }
  static getDerivedStateFromProps(props: { resetKey: string }, state: { error: unknown; at: string }) {
    return props.resetKey === state.at ? null : { at: props.resetKey, error: null };
  }
  override render() {
    if (this.state.error === null) return this.props.children;
    const again = () => {
      // A chunk that is gone after an update comes back only with a new page.
      if (/dynamically imported module|importing a module/i.test(String(this.state.error))) window.location.reload();
      this.props.onReset();
      this.setState({ error: null });
    };
    return <ErrorState title="This page broke" error={this.state.error} onRetry={again} />;
  }
}

export function ErrorBoundary({ children, resetKey }: { children: ReactNode; resetKey: string }) {
  const client = useQueryClient();
  return <Boundary resetKey={resetKey} onReset={() => client.resetQueries({ predicate: (query) => query.state.status === "error" })}>{children}</Boundary>;
}
