// The list of the page. Pages come from the server by cursor, only what is on the screen is drawn (100,000 rows stay smooth),
// arrow keys walk the rows and Enter opens one; below 640 px each row is a stacked card.
import { useReactTable, getCoreRowModel, type ColumnDef, type Row, type RowData } from "@tanstack/react-table";
import { useWindowVirtualizer, type VirtualItem } from "@tanstack/react-virtual";
import { memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type MouseEvent, type ReactNode } from "react";
import { useLocation } from "react-router";
import type { Pages } from "@/api/queries";
import { cn } from "@/lib/cn";
import { useMedia, useNarrow } from "@/lib/media";
import { Button } from "./Button";
import { Checkbox } from "./Field";
import { ErrorState, Loading, Skeleton } from "./States";
import { leftOut, useWidth } from "./fitting";

export interface Column<T> {
  id: string;
  /** The words of the head; also the label in a stacked card. */
  header: string;
  cell: (row: T) => ReactNode;
  /** A track of the grid: "minmax(12rem, 2fr)", "8rem". Default minmax(0, 1fr). */
  width?: string;
  align?: "end";
  /** Left out below this width, and first where the table has too little room: md 768 px, lg 1024 px (in cards it shows always, unless `card` is "hide"). */
  from?: "md" | "lg";
  /** In a stacked card: the head line, a line with its label (default), a line without, or nothing. */
  card?: "title" | "line" | "plain" | "hide";
}

declare module "@tanstack/react-table" {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  interface ColumnMeta<TData extends RowData, TValue> {
    column: Column<TData>;
  }
}

/** What `useList` answers, as far as the table needs it. */
export interface ListQuery<T> {
  data: Pages<T> | undefined;
  isPending: boolean;
  isError: boolean;
  error: unknown;
  isPlaceholderData?: boolean;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  isFetchNextPageError?: boolean;
  fetchNextPage: () => unknown;
  refetch: () => unknown;
}

export interface Selection {
  selected: ReadonlySet<string>;
  onChange: (selected: ReadonlySet<string>) => void;
}

export interface DataTableProps<T> {
  /** The name of the list for screen readers: "Calls". */
  label: string;
  columns: readonly Column<T>[];
  query: ListQuery<T>;
  rowId: (row: T) => string;
  /** The name of a row, used for its checkbox: "Select Weekly planning". */
  rowName?: (row: T) => string;
  onRowOpen?: (row: T) => void;
  selection?: Selection;
  /** How many there are in all, where the API says so. */
  total?: number;
  /** What stands here when the list is empty: an EmptyState. */
  empty: ReactNode;
  /** Height of a row before it is measured. */
  rowHeight?: number;
}

export function DataTable<T>({ label, columns, query, rowId, rowName, onRowOpen, selection, total, empty, rowHeight = 57 }: DataTableProps<T>) {
  const [width, measured] = useWidth();
  const narrow = useNarrow();
  const out = width === null ? NOTHING : leftOut(columns, width, selection !== undefined);
  const cards = narrow || out === null;
  const [noLg, noMd] = [out?.has("lg") ?? false, out?.has("md") ?? false];
  const md = useMedia("(min-width: 768px)");
  const lg = useMedia("(min-width: 1024px)");
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const definitions = useMemo<ColumnDef<T>[]>(() => columns.map((column) => ({ id: column.id, header: column.header, meta: { column } })), [columns]);
  const visibility = useMemo(() => {
    const hidden = (column: Column<T>) => (cards ? column.card === "hide" : (column.from === "lg" && (!lg || noLg)) || (column.from === "md" && (!md || noMd)));
    return Object.fromEntries(columns.map((each) => [each.id, !hidden(each)]));
  }, [columns, cards, md, lg, noMd, noLg]);
  const table = useReactTable({
    data: rows,
    columns: definitions,
    getRowId: (row) => rowId(row),
    getCoreRowModel: getCoreRowModel(),
    state: { columnVisibility: visibility },
  });
  const shown = useMemo(() => columns.filter((each) => visibility[each.id]), [columns, visibility]);
  const tracks = [selection && "2.5rem", ...shown.map((each) => each.width ?? "minmax(0, 1fr)")].filter(Boolean).join(" ");
  const body = useRef<HTMLDivElement>(null);
  const [margin, setMargin] = useState(0);
  const [focused, setFocused] = useState(0);
  useLayoutEffect(() => {
    const measure = () => body.current && setMargin(body.current.getBoundingClientRect().top + window.scrollY);
    measure();
    const watch = new ResizeObserver(measure); // what stands above the list may grow
    watch.observe(document.body);
    return () => watch.disconnect();
  }, [rows.length, cards]);
  const model = table.getRowModel().rows;
  const { key } = useLocation();
  const remembered = `${key} ${label}`;
  const virtual = useWindowVirtualizer({
    count: model.length,
    initialMeasurementsCache: HEIGHTS.get(remembered),
    estimateSize: () => (cards ? 132 : rowHeight),
    overscan: 8,
    scrollMargin: margin,
    getItemKey: (at) => model[at]?.id ?? at,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? -1;
  const { hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = query;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && !isFetchNextPageError && last >= model.length - 12) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage, last, model.length]);

  useEffect(() => () => remember(remembered, virtual.measurementsCache), [remembered, virtual]);

  const focusRow = useCallback(
    (at: number) => {
      setFocused(at);
      virtual.scrollToIndex(at, { align: "auto" });
      requestAnimationFrame(() => requestAnimationFrame(() => body.current?.querySelector<HTMLElement>(`[data-index="${at}"]`)?.focus()));
    },
    [virtual],
  );
  const onKeyDown = (event: KeyboardEvent, at: number) => {
    if (event.target !== event.currentTarget) return;
    const page = Math.max(1, Math.floor(window.innerHeight / rowHeight) - 4);
    const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: model.length - 1, PageDown: at + page, PageUp: at - page };
    const next = steps[event.key];
    const row = model[at]?.original;
    if (next !== undefined) {
      event.preventDefault();
      focusRow(Math.min(model.length - 1, Math.max(0, next)));
    } else if (event.key === "Enter" && row) {
      onRowOpen?.(row);
    } else if (event.key === " " && selection && row) {
      event.preventDefault();
      toggle(rowId(row));
    }
  };
  const toggle = (id: string) => {
    const after = new Set(selection?.selected);
    if (!after.delete(id)) after.add(id);
    selection?.onChange(after);
  };
  const onClick = (event: MouseEvent, row: T) => {
    const inside = (event.target as HTMLElement).closest("a, button, input, label, select, [role=menuitem]");
    if (!inside && !window.getSelection()?.toString()) onRowOpen?.(row);
  };

  if (query.isPending) return <div className={FRAME}><Loading label={`Loading ${label}`} /><Skeleton as="rows" rows={8} /></div>;
  if (query.isError && !rows.length) return <div className={FRAME}><ErrorState error={query.error} onRetry={query.refetch} /></div>;
  if (!rows.length) return <div className={FRAME}>{empty}</div>;
  const chosenAll = selection !== undefined && rows.every((each) => selection.selected.has(rowId(each)));
  return (
    <div ref={measured} className={cn(FRAME, query.isPlaceholderData && "opacity-70")}>
      <div
        role="grid"
        aria-label={label}
        aria-rowcount={hasNextPage ? (total ?? -1) : model.length + 1}
        aria-multiselectable={selection ? true : undefined}
        aria-busy={query.isPlaceholderData || undefined}
      >
        <div role="rowgroup" className={cn("sticky top-0 z-10 rounded-t-lg border-b border-line bg-card", cards && !selection && "sr-only")}>
          <div role="row" aria-rowindex={1} className="grid items-center gap-4 px-4 text-sm font-medium text-soft" style={cards ? undefined : { gridTemplateColumns: tracks }}>
            {selection && (
              <div role="columnheader">
                <Checkbox label="Select all that are loaded" hideLabel={!cards} checked={chosenAll} onChange={() => selection.onChange(chosenAll ? new Set() : new Set(rows.map(rowId)))} />
              </div>
            )}
            {shown.map((each) => (
              <div key={each.id} role="columnheader" className={cn("py-2.5", each.align === "end" && "text-right", cards && "sr-only")}>{each.header}</div>
            ))}
          </div>
        </div>
        <div ref={body} role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const row = model[item.index] as Row<T>;
            const chosen = selection?.selected.has(row.id);
            const cells = <Cells columns={shown} row={row.original} card={cards} />;
            const box = selection && (
              <div role="gridcell">
                <Checkbox label={`Select ${rowName?.(row.original) ?? "this row"}`} hideLabel checked={chosen ?? false} onChange={() => toggle(row.id)} />
              </div>
            );
            return (
              <div
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                role="row"
                aria-rowindex={item.index + 2}
                aria-selected={selection ? chosen : undefined}
                tabIndex={item.index === Math.min(focused, model.length - 1) || (items[0]?.index === item.index && (focused < item.index || focused > last)) ? 0 : -1}
                onFocus={() => setFocused(item.index)}
                onKeyDown={(event) => onKeyDown(event, item.index)}
                onClick={(event) => onClick(event, row.original)}
                className={cn(
                  "absolute inset-x-0 top-0 border-line px-4 -outline-offset-2",
                  item.index < model.length - 1 && "border-b",
                  cards ? "flex gap-3 py-3" : "grid items-center gap-4 py-2",
                  onRowOpen && "cursor-pointer hover:bg-sunken/60",
                  chosen && "bg-accent-wash",
                )}
                style={{ transform: `translateY(${item.start - margin}px)`, ...(cards ? {} : { gridTemplateColumns: tracks, minHeight: rowHeight }) }}
              >
                {box}
                {cards ? <div className="flex min-w-0 flex-1 flex-col gap-1">{cells}</div> : cells}
              </div>
            );
          })}
        </div>
      </div>
      <div aria-live="polite" className={cn("px-4 text-center text-sm text-soft", (isFetchingNextPage || isFetchNextPageError) && "py-3")}>
        {isFetchingNextPage && "Loading more…"}
        {isFetchNextPageError && !isFetchingNextPage && (
          <>More could not be loaded. <Button kind="quiet" size="sm" onClick={() => void fetchNextPage()}>Try again</Button></>
        )}
      </div>
    </div>
  );
}

/** How high the rows of lists were, by the place in the history: who comes back finds the list as tall, and so the same rows. */
const HEIGHTS = new Map<string, VirtualItem[]>();
const KEPT = 10;

function remember(key: string, heights: VirtualItem[]): void {
  if (!heights.length) return;
  HEIGHTS.delete(key);
  HEIGHTS.set(key, heights);
  for (const old of [...HEIGHTS.keys()].slice(0, -KEPT)) HEIGHTS.delete(old);
}

const NOTHING: ReadonlySet<string> = new Set();
const FRAME = "min-w-0 rounded-lg border border-line bg-card shadow-low";

/** The cells of a row, drawn again only when the row or the columns are others: scrolling moves rows, it does not change them. */
const Cells = memo(function Cells<T>({ columns, row, card }: { columns: readonly Column<T>[]; row: T; card: boolean }) {
  return columns.map((each) => <Cell key={each.id} column={each} row={row} card={card} />);
}) as <T>(props: { columns: readonly Column<T>[]; row: T; card: boolean }) => ReactNode;

function Cell<T>({ column, row, card }: { column: Column<T>; row: T; card: boolean }) {
  const labelled = card && (column.card ?? "line") === "line";
  return (
    <div
      role="gridcell"
      className={cn(
        "min-w-0",
        card && column.card === "title" && "font-semibold",
        !card && column.align === "end" && "text-right",
        labelled && "flex items-baseline justify-between gap-4 text-sm",
      )}
    >
      {labelled && <span className="shrink-0 text-soft" aria-hidden="true">{column.header}</span>}
      {labelled ? <span className="min-w-0 text-right">{column.cell(row)}</span> : column.cell(row)}
    </div>
  );
}
