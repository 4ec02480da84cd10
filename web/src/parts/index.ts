// All parts but DataTable, which is imported by itself (`@/parts/DataTable`) because it brings TanStack Table along.
export * from "./Badge";
export * from "./Button";
export * from "./Card";
export * from "./Dialog";
export * from "./Disclosure";
export * from "./Field";
export * from "./Menu";
export * from "./PlatformLogo";
export * from "./Progress";
export * from "./States";
export { toast } from "./toast";
export * from "./Values";
